/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROA_OCI_MAIN_H
#define PROA_OCI_MAIN_H

/* The whole program. See main.c; ARCHITECTURE.md has the room. */
int oci_main(int argc, char **argv);

#endif
