/*
 * seal.c: personal data, sealed with AES-256-GCM (see seal.h).
 */
#include "common/seal.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#define VERSION 1
#define NONCE_AT 5
#define NONCE_SIZE 12

/* ---- keyring ------------------------------------------------------------------------------------------------------ */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of a line; false at its end. */
static bool
next_word(const char **at, const char *end, const char **word, size_t *len)
{
	while (*at < end && is_blank(**at))
		(*at)++;
	*word = *at;
	while (*at < end && !is_blank(**at))
		(*at)++;
	*len = (size_t) (*at - *word);
	return *len > 0;
}

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool
read_key(const char *word, size_t len, uint8_t key[SEAL_KEY_SIZE])
{
	if (len != 2 * SEAL_KEY_SIZE)
		return false;
	for (size_t i = 0; i < SEAL_KEY_SIZE; i++)
	{
		const int high = hex_digit(word[2 * i]), low = hex_digit(word[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		key[i] = (uint8_t) (high << 4 | low);
	}
	return true;
}

static bool
read_id(const char *word, size_t len, uint32_t *id)
{
	*id = 0;
	if (len == 0 || len > 9 || word[0] == '0')
		return false;
	for (size_t i = 0; i < len; i++)
	{
		if (word[i] < '0' || word[i] > '9')
			return false;
		*id = *id * 10 + (uint32_t) (word[i] - '0');
	}
	return true;
}

static const char *
read_sealing_key(Keyring *keyring, const char **at, const char *end)
{
	const char *word;
	size_t len;
	SealKey key;

	if (keyring->count == SEAL_KEYS_MAX)
		return "too many keys";
	if (!next_word(at, end, &word, &len) || !read_id(word, len, &key.id))
		return "a key needs an id, 1 to 999999999";
	if (keyring->count > 0 && keyring->keys[keyring->count - 1].id >= key.id)
		return "ids of keys must rise";
	if (!next_word(at, end, &word, &len) || !read_key(word, len, key.bytes))
		return "a key must have 64 hexadecimal digits";
	keyring->keys[keyring->count++] = key;
	OPENSSL_cleanse(&key, sizeof(key));
	return NULL;
}

static const char *
read_line(Keyring *keyring, const char *at, const char *end)
{
	const char *word;
	const char *fault = NULL;
	size_t len;

	if (!next_word(&at, end, &word, &len))
		return NULL;
	if (len == 3 && memcmp(word, "key", 3) == 0)
		fault = read_sealing_key(keyring, &at, end);
	else if (len != 4 || memcmp(word, "hash", 4) != 0)
		fault = "a line begins with key or hash";
	else if (keyring->has_hash_key)
		fault = "a second hash key";
	else if (!next_word(&at, end, &word, &len) || !read_key(word, len, keyring->hash_key))
		fault = "the hash key must have 64 hexadecimal digits";
	else
		keyring->has_hash_key = true;
	if (fault == NULL && next_word(&at, end, &word, &len))
		fault = "something follows the key";
	return fault;
}

const char *
keyring_parse(const char *text, size_t len, Keyring *keyring, int *line)
{
	const char *const end = text + len;

	*keyring = (Keyring){0};
	*line = 0;
	while (text < end)
	{
		const char *newline = memchr(text, '\n', (size_t) (end - text));
		const char *line_end = newline != NULL ? newline : end;
		const char *comment = memchr(text, '#', (size_t) (line_end - text));

		++*line;
		const char *fault = read_line(keyring, text, comment != NULL ? comment : line_end);
		if (fault != NULL)
			return fault;
		text = newline != NULL ? newline + 1 : end;
	}
	*line = 0;
	return keyring->count == 0 ? "it has no key" : !keyring->has_hash_key ? "it has no hash key" : NULL;
}

void
keyring_forget(Keyring *keyring)
{
	OPENSSL_cleanse(keyring, sizeof(*keyring));
}

const SealKey *
keyring_find(const Keyring *keyring, uint32_t id)
{
	for (size_t i = 0; i < keyring->count; i++)
		if (keyring->keys[i].id == id)
			return &keyring->keys[i];
	return NULL;
}

/* ---- sealing ------------------------------------------------------------------------------------------------------ */

const char *
seal_result_text(SealResult result)
{
	static const char *const texts[] = {
		[SEAL_OK] = "ok",
		[SEAL_MALFORMED] = "it is not a sealed value",
		[SEAL_NO_KEY] = "the keyring lacks its key",
		[SEAL_WRONG] = "the key is another one, or the value was damaged or belongs elsewhere",
		[SEAL_FAILED] = "libcrypto failed",
	};

	return texts[result];
}

static void
write_account(int64_t account_id, uint8_t bytes[8])
{
	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t) ((uint64_t) account_id >> (56 - 8 * i));
}

static bool
is_length(size_t len)
{
	return len <= INT32_MAX / 2;
}

static bool
bind(EVP_CIPHER_CTX *context, int (*update)(EVP_CIPHER_CTX *, unsigned char *, int *, const unsigned char *, int),
	 int64_t account_id, const char *field)
{
	uint8_t account[8];
	int len;

	write_account(account_id, account);
	return update(context, NULL, &len, account, sizeof(account)) == 1 &&
		   update(context, NULL, &len, (const uint8_t *) field, (int) strlen(field)) == 1;
}

SealResult
seal_close(const Keyring *keyring, int64_t account_id, const char *field, const void *text, size_t len, uint8_t *sealed)
{
	if (keyring->count == 0)
		return SEAL_NO_KEY;
	const SealKey *key = &keyring->keys[keyring->count - 1];
	uint8_t *const nonce = sealed + NONCE_AT;
	uint8_t *const body = sealed + SEAL_HEADER_SIZE;
	int written = 0;
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();

	sealed[0] = VERSION;
	for (int i = 0; i < 4; i++)
		sealed[1 + i] = (uint8_t) (key->id >> (24 - 8 * i));
	const bool done = context != NULL && is_length(len) && RAND_bytes(nonce, NONCE_SIZE) == 1 &&
					  EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key->bytes, nonce) == 1 &&
					  bind(context, EVP_EncryptUpdate, account_id, field) &&
					  EVP_EncryptUpdate(context, body, &written, text, (int) len) == 1 &&
					  EVP_EncryptFinal_ex(context, body + written, &written) == 1 &&
					  EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, SEAL_TAG_SIZE, body + len) == 1;
	EVP_CIPHER_CTX_free(context);
	return done ? SEAL_OK : SEAL_FAILED;
}

uint32_t
seal_key_id(const uint8_t *sealed, size_t sealed_len)
{
	uint32_t id = 0;

	if (sealed_len < SEAL_OVERHEAD || sealed[0] != VERSION)
		return 0;
	for (int i = 0; i < 4; i++)
		id = id << 8 | sealed[1 + i];
	return id;
}

SealResult
seal_open(const Keyring *keyring, int64_t account_id, const char *field, const uint8_t *sealed, size_t sealed_len, void *text,
		  size_t *len)
{
	const uint32_t id = seal_key_id(sealed, sealed_len);

	*len = 0;
	if (id == 0 || !is_length(sealed_len))
		return SEAL_MALFORMED;
	const SealKey *key = keyring_find(keyring, id);
	if (key == NULL)
		return SEAL_NO_KEY;
	const size_t body_len = sealed_len - SEAL_OVERHEAD;
	const uint8_t *const body = sealed + SEAL_HEADER_SIZE;
	uint8_t tag[SEAL_TAG_SIZE];
	uint8_t rest[16]; /* GCM leaves nothing for the last step */
	int written = 0;
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();

	memcpy(tag, body + body_len, sizeof(tag));
	const bool ready = context != NULL &&
					   EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key->bytes, sealed + NONCE_AT) == 1 &&
					   bind(context, EVP_DecryptUpdate, account_id, field) &&
					   EVP_DecryptUpdate(context, text, &written, body, (int) body_len) == 1 &&
					   EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, SEAL_TAG_SIZE, tag) == 1;
	const bool right = ready && EVP_DecryptFinal_ex(context, rest, &written) == 1;
	EVP_CIPHER_CTX_free(context);
	if (!right)
		OPENSSL_cleanse(text, body_len);
	else
		*len = body_len;
	return right ? SEAL_OK : ready ? SEAL_WRONG : SEAL_FAILED;
}

SealResult
seal_hash(const Keyring *keyring, const char *field, const void *text, size_t len, uint8_t hash[SEAL_HASH_SIZE])
{
	uint8_t key[SEAL_HASH_SIZE];
	unsigned size = 0;

	if (!keyring->has_hash_key)
		return SEAL_NO_KEY;
	/* A key for each field first: so no field and text can be taken for another pair. */
	const bool done = HMAC(EVP_sha256(), keyring->hash_key, SEAL_KEY_SIZE, (const uint8_t *) field, strlen(field), key, &size) != NULL &&
					  HMAC(EVP_sha256(), key, sizeof(key), text, len, hash, &size) != NULL;
	OPENSSL_cleanse(key, sizeof(key));
	return done ? SEAL_OK : SEAL_FAILED;
}
