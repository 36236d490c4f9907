/* SPDX-License-Identifier: MIT */
/*
 * CRC-32C (Castagnoli): polynomial 0x1edc6f41, reflected, initial value and final inversion all
 * ones (RFC 3720, appendix B.4); and the masked form in which LevelDB tables and TensorFlow
 * checkpoints store it.
 */
#ifndef VJ_HOST_CRC32C_H
#define VJ_HOST_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * CRC-32C of `size` bytes appended to data whose CRC-32C is `crc` (0 for none so far), so that
 * vj_crc32c(vj_crc32c(0, a, n), b, m) is the CRC of a followed by b. data may be NULL when size is
 * 0.
 */
uint32_t vj_crc32c(uint32_t crc, const void *data, size_t size);

/* Stored form: rotated right by 15 bits, plus 0xa282ead8; a CRC over data with CRCs in it is weak.
 */
uint32_t vj_crc32c_mask(uint32_t crc);

/* The CRC that vj_crc32c_mask() turned into `masked`. */
uint32_t vj_crc32c_unmask(uint32_t masked);

#endif
