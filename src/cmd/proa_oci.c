/* SPDX-License-Identifier: Apache-2.0 */
/* The executable proa-oci: see oci/main.c. */
#include "oci/main.h"

int main(int argc, char **argv)
{
	return oci_main(argc, argv);
}
