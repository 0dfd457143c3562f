/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Platforms: "os/architecture[/variant]", normalised as containerd does (x86_64 is amd64, aarch64 is arm64, arm without
 * a variant is arm/v7), and which of several an image for one fits best. Pure but for platform_machine.
 */
#ifndef PROA_IMAGE_PLATFORM_H
#define PROA_IMAGE_PLATFORM_H

#define PLATFORM_PART_MAX 32

struct platform {
	char os[PLATFORM_PART_MAX], architecture[PLATFORM_PART_MAX], variant[PLATFORM_PART_MAX]; /* variant "": any */
};

void platform_machine(struct platform *ret);
/* text NULL or "": this machine's; "amd64" alone: linux/amd64. 0 or -EINVAL. */
int platform_parse(const char *text, struct platform *ret);
void platform_set(struct platform *p, const char *os, const char *architecture, const char *variant);
/* How well an image for have serves want: 0 not at all, more is better. An older variant serves, a newer one doesn't.
 */
int platform_fit(const struct platform *want, const struct platform *have);
/* "linux/arm/v7" */
char *platform_text(const struct platform *p, char out[3 * PLATFORM_PART_MAX]);

#endif
