/* SPDX-License-Identifier: Apache-2.0 */
#include "kubelet.h"

static void claims_wait_for_their_pods(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL);
	w.hold = true;
	world_add_node(&w, "n", "4");
	fake_api_create(w.api, "PersistentVolumeClaim", "{'metadata':{'name':'c','namespace':'default'}}");
	fake_api_create(w.api, "Pod",
			"{'metadata':{'name':'p','namespace':'default'},'spec':{'nodeName':'n','volumes':[{'name':'v',"
			"'persistentVolumeClaim':{'claimName':'c'}}]}}");
	sim_run_ms(w.loop, 100);
	_cleanup_arena_ struct arena a = ARENA_INIT;
	/* One that came without the finalizer gets it. */
	assert_true(meta_has_finalizer(fake_api_tree(w.api, &a, "PersistentVolumeClaim", "default", "c"),
				       "kubernetes.io/pvc-protection"));
	fake_api_delete(w.api, "PersistentVolumeClaim", "default", "c", NULL);
	sim_run_ms(w.loop, 100);
	assert_true(fake_api_has(w.api, "PersistentVolumeClaim", "default", "c"));
	fake_api_patch(w.api, "Pod", "default", "p", "{'status':{'phase':'Succeeded'}}");
	sim_run_ms(w.loop, 100);
	assert_false(fake_api_has(w.api, "PersistentVolumeClaim", "default", "c"));
	world_stop(&w);
}

static void volumes_wait_for_their_claims(void **state)
{
	(void)state;
	struct world w;
	world_start(&w, NULL);
	fake_api_create(w.api, "PersistentVolume",
			"{'metadata':{'name':'v','finalizers':['kubernetes.io/pv-protection']},"
			"'spec':{'volumeAttributesClassName':'k'},'status':{'phase':'Bound'}}");
	fake_api_create(w.api, "VolumeAttributesClass",
			"{'metadata':{'name':'k','finalizers':['kubernetes.io/vac-protection']}}");
	fake_api_delete(w.api, "PersistentVolume", NULL, "v", NULL);
	fake_api_delete(w.api, "VolumeAttributesClass", NULL, "k", NULL);
	sim_run_ms(w.loop, 100);
	assert_true(fake_api_has(w.api, "PersistentVolume", NULL, "v"));
	assert_true(fake_api_has(w.api, "VolumeAttributesClass", NULL, "k"));
	fake_api_patch(w.api, "PersistentVolume", NULL, "v", "{'status':{'phase':'Released'}}");
	sim_run_ms(w.loop, 100);
	assert_false(fake_api_has(w.api, "PersistentVolume", NULL, "v"));
	assert_false(fake_api_has(w.api, "VolumeAttributesClass", NULL, "k"));
	world_stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(claims_wait_for_their_pods),
	    cmocka_unit_test(volumes_wait_for_their_claims),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
