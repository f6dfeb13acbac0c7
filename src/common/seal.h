/*
 * seal.h: personal data, sealed with AES-256-GCM.
 *
 * A sealed value names the key it was sealed with, and is bound to its account and field, so that it opens nowhere else:
 *
 *   0  u8        1, the version
 *   1  u32       id of the key, big-endian
 *   5  12 bytes  nonce, random
 *  17            ciphertext, as long as the text
 *   …  16 bytes  tag, over ciphertext and associated data (account id as 8 bytes big-endian, then the field's name)
 *
 * Keys come from a keyring file: empty lines, comments after #, and
 *
 *   hash <64 hexadecimal digits>        key of the hashes that find an address; never changed
 *   key <id> <64 hexadecimal digits>    ids from 1, ascending; the last one seals, the others open
 *
 * The only part of common/ that needs a library: libcrypto. No input or output: the caller reads the file.
 */
#ifndef COMMON_SEAL_H
#define COMMON_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEAL_KEY_SIZE 32
#define SEAL_KEYS_MAX 32
#define SEAL_HASH_SIZE 32
#define SEAL_HEADER_SIZE 17
#define SEAL_TAG_SIZE 16
#define SEAL_OVERHEAD (SEAL_HEADER_SIZE + SEAL_TAG_SIZE)

typedef struct SealKey {
	uint32_t id;
	uint8_t bytes[SEAL_KEY_SIZE];
} SealKey;

typedef struct Keyring {
	size_t count;
	bool has_hash_key;
	uint8_t hash_key[SEAL_KEY_SIZE];
	SealKey keys[SEAL_KEYS_MAX];
} Keyring;

/* Reads the text of a keyring file. NULL, or what is wrong with it, in which line (from 1; 0 = the whole). */
const char *keyring_parse(const char *text, size_t len, Keyring *keyring, int *line);
void keyring_forget(Keyring *keyring);
const SealKey *keyring_find(const Keyring *keyring, uint32_t id);

typedef enum SealResult {
	SEAL_OK,
	SEAL_MALFORMED, /* these bytes were never sealed here */
	SEAL_NO_KEY,    /* the keyring lacks the key, see seal_key_id() */
	SEAL_WRONG,     /* another key of that id, another account or field, or damaged */
	SEAL_FAILED     /* libcrypto did not do it */
} SealResult;

const char *seal_result_text(SealResult result);

/* Seals with the last key; `sealed` has room for len + SEAL_OVERHEAD bytes, which is what it then holds. */
SealResult seal_close(const Keyring *keyring, int64_t account_id, const char *field, const void *text, size_t len, uint8_t *sealed);

/* `text` has room for the sealed bytes less SEAL_OVERHEAD; its length is *len. */
SealResult seal_open(const Keyring *keyring, int64_t account_id, const char *field, const uint8_t *sealed, size_t sealed_len,
					 void *text, size_t *len);

/* The id of the key; 0 when the bytes are no sealed value. */
uint32_t seal_key_id(const uint8_t *sealed, size_t sealed_len);

/* HMAC-SHA-256 of the text, its key the HMAC of the field: equal for equal texts, whatever key seals them. */
SealResult seal_hash(const Keyring *keyring, const char *field, const void *text, size_t len, uint8_t hash[SEAL_HASH_SIZE]);

#endif
