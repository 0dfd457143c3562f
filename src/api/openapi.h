/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenAPI documents, made from the type and resource tables when somebody asks. They are large (the v2 document of all
 * groups is some MB), so that callers keep them compressed or drop them after use; the same set gives the same bytes.
 *
 * What clients read: kubectl explain the schemas and x-kubernetes-group-version-kind; kubectl apply and create the
 * presence of fieldValidation among the parameters of a PATCH, and merge keys of kinds it doesn't know; older ones all
 * of v2. So paths, their parameters, and schemas with x-kubernetes-* extensions are complete; response codes and
 * media types are the essential ones.
 */
#ifndef PROA_API_OPENAPI_H
#define PROA_API_OPENAPI_H

struct buf;
struct resource_set;

/* /openapi/v3: where each group and version's document is, with a hash of its content. */
void openapi_v3_index(const struct resource_set *set, struct buf *out);
/* /openapi/v3/api/v1 (group "") and /openapi/v3/apis/GROUP/VERSION; -ENOENT when it isn't served. */
int openapi_v3_document(const struct resource_set *set, const char *group, const char *version, struct buf *out);

/* /openapi/v2 as JSON (Swagger 2.0), all groups in one. */
void openapi_v2(const struct resource_set *set, struct buf *out);
/*
 * The same as gnostic's openapi_v2.Document message. Clients ask for it as
 * application/com.github.proto-openapi.spec.v2@v1.0+protobuf; since @ is not allowed in a media type (RFC 2045) and Go
 * refuses it, the answer is called OPENAPI_V2_PROTOBUF_TYPE, with a dot, as upstream calls it.
 */
#define OPENAPI_V2_PROTOBUF_TYPE "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
void openapi_v2_protobuf(const struct resource_set *set, struct buf *out);

#endif
