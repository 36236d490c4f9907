/* SPDX-License-Identifier: MIT */
#include "host/sha256.h"

#include <errno.h>
#include <openssl/evp.h>

int vj_sha256_begin(struct vj_sha256 *s, struct vj_error *err)
{
    s->context = EVP_MD_CTX_new();
    if (!s->context)
        return vj_fail(err, -ENOMEM, "out of memory for a SHA-256 context");
    if (EVP_DigestInit_ex(s->context, EVP_sha256(), NULL) == 1)
        return 0;
    vj_sha256_cancel(s);
    return vj_fail(err, -EIO, "OpenSSL offers no SHA-256; check its configuration");
}

int vj_sha256_add(struct vj_sha256 *s, const void *data, size_t size, struct vj_error *err)
{
    if (EVP_DigestUpdate(s->context, data, size) == 1)
        return 0;
    return vj_fail(err, -EIO, "OpenSSL failed to hash %zu bytes", size);
}

int vj_sha256_end(struct vj_sha256 *s, char hex[VJ_SHA256_HEX], struct vj_error *err)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    int ok = EVP_DigestFinal_ex(s->context, digest, &size) == 1;
    vj_sha256_cancel(s);
    if (!ok || size != (VJ_SHA256_HEX - 1) / 2)
        return vj_fail(err, -EIO, "OpenSSL failed to finish a SHA-256");
    for (unsigned int i = 0; i < size; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[2 * size] = '\0';
    return 0;
}

void vj_sha256_cancel(struct vj_sha256 *s)
{
    EVP_MD_CTX_free(s->context);
    s->context = NULL;
}
