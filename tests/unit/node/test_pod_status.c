/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/json.h"
#include "node/container.h"
#include "node/pod_status.h"

static struct json *parse(struct arena *a, const char *text)
{
	struct json *v;
	struct json_error e;

	assert_int_equal(json_parse(a, text, strlen(text), &v, &e), 0);
	return v;
}

static const char pod_text[] =
    "{\"metadata\":{\"name\":\"web\",\"namespace\":\"default\",\"uid\":\"u\",\"generation\":2},"
    "\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"busybox\"},{\"name\":\"b\",\"image\":\"busybox\"}]},"
    "\"status\":{\"phase\":\"Pending\",\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"True\","
    "\"lastTransitionTime\":\"2026-01-01T00:00:00Z\"},{\"type\":\"example.com/gate\",\"status\":\"True\"}]}}";

struct setup {
	struct arena arena;
	struct container c[2];
	const struct container *list[2];
	enum restart_policy policies[2];
	struct pod_facts f;
};

static void prepare(struct setup *s)
{
	*s = (struct setup){0};
	for (int i = 0; i < 2; i++) {
		s->c[i] = (struct container){.name = i ? "b" : "a", .kind = CONTAINER_MAIN};
		s->list[i] = &s->c[i];
	}
	s->f = (struct pod_facts){.pod = parse(&s->arena, pod_text),
				  .containers = s->list,
				  .policies = s->policies,
				  .n_containers = 2,
				  .host_ip = "192.0.2.1",
				  .start_ns = 1000000000,
				  .now_ns = 1790000000ll * 1000000000};
}

static void run(struct container *c)
{
	c->stage = STAGE_RUNNING;
	c->id = "abc";
	c->started = c->ready = true;
	c->started_ns = 1790000000ll * 1000000000;
}

static const char *condition(const struct json *status, const char *type, const char *member)
{
	JSON_EACH(c, json_get(status, "conditions"))
		if (strcmp(json_path_str(c, "type"), type) == 0)
			return json_path_str(c, member);
	return NULL;
}

static void a_new_pod_is_pending(void **state)
{
	struct setup s;
	struct json *status, *first;

	(void)state;
	prepare(&s);
	status = pod_status(&s.arena, &s.f);
	first = json_at(json_get(status, "containerStatuses"), 0);
	assert_string_equal(json_path_str(status, "phase"), "Pending");
	assert_string_equal(json_path_str(first, "state.waiting.reason"), "ContainerCreating");
	assert_false(json_path_bool(first, "ready", true));
	assert_string_equal(condition(status, "Initialized", "status"), "True");
	assert_string_equal(condition(status, "Ready", "reason"), "ContainersNotReady");
	assert_string_equal(condition(status, "Ready", "message"), "containers with unready status: [a b]");
	assert_string_equal(condition(status, "PodReadyToStartContainers", "status"), "False");
	assert_string_equal(condition(status, "PodScheduled", "lastTransitionTime"), "2026-01-01T00:00:00Z");
	assert_string_equal(condition(status, "example.com/gate", "status"), "True");
	assert_string_equal(json_path_str(status, "qosClass"), "BestEffort");
	assert_int_equal(json_path_int(status, "observedGeneration", 0), 2);
	assert_null(json_get(status, "podIP"));
	arena_release(&s.arena);
}

static void running_and_ready(void **state)
{
	struct setup s;
	struct json *status, *again;

	(void)state;
	prepare(&s);
	s.f.pod_ip = "10.42.0.7";
	s.f.sandbox_ready = true;
	run(&s.c[0]);
	status = pod_status(&s.arena, &s.f);
	assert_string_equal(json_path_str(status, "phase"), "Pending"); /* b has not started yet */
	run(&s.c[1]);
	s.f.previous = status;
	s.f.now_ns += 5ll * 1000000000;
	status = pod_status(&s.arena, &s.f);
	assert_string_equal(json_path_str(status, "phase"), "Running");
	assert_string_equal(condition(status, "Ready", "status"), "True");
	assert_null(condition(status, "Ready", "reason"));
	assert_string_equal(json_path_str(json_at(json_get(status, "podIPs"), 0), "ip"), "10.42.0.7");
	assert_string_equal(json_path_str(json_at(json_get(status, "containerStatuses"), 1), "containerID"),
			    "proa://abc");
	/* Nothing changed but the time: the status is the same. */
	s.f.previous = status;
	s.f.now_ns += 5ll * 1000000000;
	again = pod_status(&s.arena, &s.f);
	assert_true(json_equal(status, again));
	arena_release(&s.arena);
}

static void crash_loop_shows_waiting_and_the_last_end(void **state)
{
	struct setup s;
	struct json *status, *first;

	(void)state;
	prepare(&s);
	run(&s.c[1]);
	s.c[0].stage = STAGE_EXITED;
	s.c[0].restarts = 3;
	s.c[0].exit = (struct container_exit){.valid = true, .code = 2, .reason = "Error"};
	s.c[0].waiting_reason = "CrashLoopBackOff";
	s.c[0].waiting_message = "back-off 40s";
	status = pod_status(&s.arena, &s.f);
	first = json_at(json_get(status, "containerStatuses"), 0);
	assert_string_equal(json_path_str(status, "phase"), "Running");
	assert_string_equal(json_path_str(first, "state.waiting.reason"), "CrashLoopBackOff");
	assert_int_equal(json_path_int(first, "lastState.terminated.exitCode", 0), 2);
	assert_int_equal(json_path_int(first, "restartCount", 0), 3);
	assert_string_equal(condition(status, "Ready", "message"), "containers with unready status: [a]");
	arena_release(&s.arena);
}

static void ended_pods(void **state)
{
	struct setup s;
	struct json *status;

	(void)state;
	prepare(&s);
	for (int i = 0; i < 2; i++) {
		s.policies[i] = RESTART_NEVER;
		s.c[i].stage = STAGE_EXITED;
		s.c[i].exit = (struct container_exit){.valid = true, .code = 0, .reason = "Completed"};
	}
	s.f.finished = true;
	status = pod_status(&s.arena, &s.f);
	assert_string_equal(json_path_str(status, "phase"), "Succeeded");
	assert_string_equal(condition(status, "Ready", "reason"), "PodCompleted");
	assert_string_equal(condition(status, "Initialized", "reason"), "PodCompleted");
	s.c[0].exit.code = 1;
	s.c[0].exit.reason = "Error";
	status = pod_status(&s.arena, &s.f);
	assert_string_equal(json_path_str(status, "phase"), "Failed");
	assert_string_equal(condition(status, "Ready", "reason"), "PodFailed");
	/* As long as something runs the end isn't told. */
	s.f.reason = "DeadlineExceeded";
	s.c[1].stage = STAGE_STOPPING;
	status = pod_status(&s.arena, &s.f);
	assert_string_equal(json_path_str(status, "phase"), "Running");
	assert_string_equal(json_path_str(status, "reason"), "DeadlineExceeded");
	arena_release(&s.arena);
}

static void quality_of_service(void **state)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	const char *all = "{\"spec\":{\"containers\":[{\"resources\":{\"limits\":{\"cpu\":\"1\",\"memory\":\"1Gi\"},"
			  "\"requests\":{\"cpu\":\"1000m\",\"memory\":\"1024Mi\"}}}]}}";
	const char *some = "{\"spec\":{\"containers\":[{\"resources\":{\"requests\":{\"cpu\":\"1m\"}}},{}]}}";
	const char *none = "{\"spec\":{\"containers\":[{},{\"resources\":{}}]}}";

	(void)state;
	assert_string_equal(pod_qos(parse(&a, all)), "Guaranteed");
	assert_string_equal(pod_qos(parse(&a, some)), "Burstable");
	assert_string_equal(pod_qos(parse(&a, none)), "BestEffort");
}

static void resizes_are_told_while_they_last(void **state)
{
	struct setup s;
	struct json *status, *first;

	(void)state;
	prepare(&s);
	run(&s.c[0]);
	s.c[0].resources.allocated = "{\"requests\":{\"cpu\":\"2\"}}";
	s.c[0].resources.applied = "{\"requests\":{\"cpu\":\"1\"}}";
	s.f.resizing = true;
	s.f.resize_reason = "Deferred";
	s.f.resize_message = "full";
	status = pod_status(&s.arena, &s.f);
	first = json_at(json_get(status, "containerStatuses"), 0);
	assert_string_equal(json_path_str(first, "allocatedResources.cpu"), "2");
	assert_string_equal(json_path_str(first, "resources.requests.cpu"), "1");
	assert_string_equal(condition(status, "PodResizePending", "reason"), "Deferred");
	assert_string_equal(condition(status, "PodResizePending", "message"), "full");
	assert_string_equal(condition(status, "PodResizeInProgress", "status"), "True");
	assert_null(condition(status, "PodResizeInProgress", "reason"));
	s.f.previous = status;
	s.f.resize_reason = NULL;
	s.f.resize_error = "below";
	status = pod_status(&s.arena, &s.f);
	assert_null(condition(status, "PodResizePending", "type"));
	assert_string_equal(condition(status, "PodResizeInProgress", "reason"), "Error");
	s.f.previous = status;
	s.f.resizing = false;
	status = pod_status(&s.arena, &s.f);
	assert_null(condition(status, "PodResizeInProgress", "type"));
	arena_release(&s.arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_new_pod_is_pending),
	    cmocka_unit_test(running_and_ready),
	    cmocka_unit_test(crash_loop_shows_waiting_and_the_last_end),
	    cmocka_unit_test(ended_pods),
	    cmocka_unit_test(quality_of_service),
	    cmocka_unit_test(resizes_are_told_while_they_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
