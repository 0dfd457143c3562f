/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/server_options.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "cmd/command.h"
#include "server/audit_policy.h"
#include "server/encryption.h"

#define AUDIT_MIB_MAX 102400	/* 100 GiB */
#define AUDIT_BACKUPS_MAX 10000 /* files in one directory */

const char *const server_option_names[] = {"audit-policy-file",		 "audit-log-path",
					   "audit-log-maxsize",		 "audit-log-maxbackup",
					   "encryption-provider-config", NULL};

static int read_file(const char *flag, const char *path, size_t max, struct buf *ret, struct status *err)
{
	int r = fs_read(path, max, ret);
	return r < 0 ? status_set(err, 400, "--%s: %s cannot be read: %s", flag, path, strerror(-r)) : 0;
}

static int load_audit(const struct args *a, struct server_options *o, struct status *err)
{
	const char *policy = args_value(a, "audit-policy-file"), *path = args_value(a, "audit-log-path");
	_cleanup_buf_ struct buf text = BUF_INIT;
	int64_t mib, backups;

	if (!policy && !path)
		return 0;
	if (!policy || !path)
		return status_set(err, 400, "--audit-policy-file and --audit-log-path belong together");
	if (*path != '/')
		return status_set(err, 400, "--audit-log-path: %s is not an absolute path", path);
	if (parse_int_range(args_value(a, "audit-log-maxsize"), 1, AUDIT_MIB_MAX, &mib) < 0)
		return status_set(err, 400, "--audit-log-maxsize must be 1 to %d", AUDIT_MIB_MAX);
	if (parse_int_range(args_value(a, "audit-log-maxbackup"), 0, AUDIT_BACKUPS_MAX, &backups) < 0)
		return status_set(err, 400, "--audit-log-maxbackup must be 0 to %d", AUDIT_BACKUPS_MAX);
	if (read_file("audit-policy-file", policy, AUDIT_POLICY_FILE_MAX, &text, err) < 0 ||
	    audit_policy_parse(buf_str(&text), text.len, &o->policy, err) < 0)
		return -1;
	_cleanup_free_ char *copy = xstrdup(path);
	o->audit_path = xstrdup(path);
	o->audit_dir = xstrdup(dirname(copy));
	o->audit_bytes_max = (uint64_t)mib << 20;
	o->audit_backups_max = (unsigned)backups;
	return 0;
}

int server_options_load(const struct args *a, struct server_options *o, struct status *err)
{
	const char *encryption = args_value(a, "encryption-provider-config");
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (load_audit(a, o, err) < 0)
		return -1;
	if (!encryption)
		return 0;
	int r = read_file("encryption-provider-config", encryption, ENCRYPTION_FILE_MAX, &text, err);
	if (r == 0)
		r = encryption_parse(buf_str(&text), text.len, &o->encryption, err);
	explicit_bzero(text.data, text.len);
	return r;
}

void server_options_release(struct server_options *o)
{
	audit_policy_free(o->policy);
	encryption_free(o->encryption);
	free(o->audit_path);
	free(o->audit_dir);
}
