/* SPDX-License-Identifier: Apache-2.0 */
/* The executable proa-shim: see runtime/shim.h. */
#include "runtime/shim.h"

int main(int argc, char **argv)
{
	return shim_main(argc, argv);
}
