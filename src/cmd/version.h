/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROA_CMD_VERSION_H
#define PROA_CMD_VERSION_H

/* The release of the API that the tables in src/api/gen were made from; PROA_VERSION comes from the build. */
#define KUBERNETES_VERSION "v1.37.2"

#endif
