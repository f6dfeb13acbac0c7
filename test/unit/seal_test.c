/*
 * seal_test.c: what is sealed opens with its key, in its account and field, and nowhere else; a keyring says what is wrong
 * with it (DESIGN.md §9).
 */
#include "check.h"

#include <stdlib.h>

#include "common/seal.h"

#define KEY_A "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"
#define KEY_B "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static Keyring
keyring(const char *text)
{
	Keyring ring;
	int line;

	CHECK_CASE(text);
	CHECK(keyring_parse(text, strlen(text), &ring, &line) == NULL);
	return ring;
}

static void
files(void)
{
	static const struct {
		const char *text;
		int line;
		const char *fault;
	} wrong[] = {
		{"", 0, "it has no key"},
		{"hash " KEY_A "\n", 0, "it has no key"},
		{"key 1 " KEY_A, 0, "it has no hash key"},
		{"# keys\n\nkeys 1 " KEY_A, 3, "a line begins with key or hash"},
		{"key " KEY_A, 1, "a key needs an id, 1 to 999999999"},
		{"key 0 " KEY_A, 1, "a key needs an id, 1 to 999999999"},
		{"key 1000000000 " KEY_A, 1, "a key needs an id, 1 to 999999999"},
		{"key 1 " KEY_A "\nkey 1 " KEY_B, 2, "ids of keys must rise"},
		{"key 1 abc", 1, "a key must have 64 hexadecimal digits"},
		{"key 1 g" KEY_A, 1, "a key must have 64 hexadecimal digits"},
		{"key 1", 1, "a key must have 64 hexadecimal digits"},
		{"key 1 " KEY_A " x", 1, "something follows the key"},
		{"hash " KEY_A "0", 1, "the hash key must have 64 hexadecimal digits"},
		{"hash", 1, "the hash key must have 64 hexadecimal digits"},
		{"hash " KEY_A "\nhash " KEY_A, 2, "a second hash key"},
	};
	char many[SEAL_KEYS_MAX * 80 + 200] = "";

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
	{
		Keyring ring;
		int line;
		const char *fault = keyring_parse(wrong[i].text, strlen(wrong[i].text), &ring, &line);

		CHECK_CASE(wrong[i].text);
		CHECK_TEXT(fault ? fault : "none", wrong[i].fault);
		CHECK_INT(line, wrong[i].line);
	}
	const Keyring ring = keyring("  hash\t" KEY_B " # never change it\r\n\nkey 1 " KEY_A "\n#key 2\nkey 7 " KEY_B);
	CHECK_INT(ring.count, 2);
	CHECK(ring.keys[0].bytes[31] == 0x1f && ring.keys[1].bytes[0] == 0xff && ring.hash_key[0] == 0xff);
	CHECK(keyring_find(&ring, 7) == &ring.keys[1] && keyring_find(&ring, 2) == NULL);

	for (int i = 1; i <= SEAL_KEYS_MAX + 1; i++)
		sprintf(many + strlen(many), "key %d %s\n", i, KEY_A);
	Keyring too_many;
	int line;
	CHECK(keyring_parse(many, strlen(many), &too_many, &line) != NULL);
	CHECK_INT(line, SEAL_KEYS_MAX + 1);
}

static void
seals(void)
{
	static const char *const texts[] = {"", "a", "홍길동", "hong@example.com"};
	const Keyring old = keyring("hash " KEY_A "\nkey 1 " KEY_A);
	const Keyring both = keyring("hash " KEY_A "\nkey 1 " KEY_A "\nkey 2 " KEY_B);
	const Keyring other = keyring("hash " KEY_A "\nkey 1 " KEY_B);

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		const size_t len = strlen(texts[i]), sealed_len = len + SEAL_OVERHEAD;
		uint8_t *sealed = malloc(sealed_len), *again = malloc(sealed_len);
		char *text = malloc(len + 1);
		size_t text_len;

		CHECK_CASE(texts[i]);
		CHECK_INT(seal_close(&old, 42, "email", texts[i], len, sealed), SEAL_OK);
		CHECK_INT(seal_close(&old, 42, "email", texts[i], len, again), SEAL_OK);
		CHECK(memcmp(sealed, again, sealed_len) != 0);
		CHECK_INT(seal_key_id(sealed, sealed_len), 1);
		CHECK_INT(seal_open(&both, 42, "email", sealed, sealed_len, text, &text_len), SEAL_OK);
		text[text_len] = '\0';
		CHECK_TEXT(text, texts[i]);

		CHECK_INT(seal_open(&both, 43, "email", sealed, sealed_len, text, &text_len), SEAL_WRONG);
		CHECK_INT(seal_open(&both, 42, "phone", sealed, sealed_len, text, &text_len), SEAL_WRONG);
		CHECK_INT(seal_open(&other, 42, "email", sealed, sealed_len, text, &text_len), SEAL_WRONG);
		CHECK_INT(text_len, 0);
		for (size_t byte = 0; byte < sealed_len; byte++)
		{
			sealed[byte] ^= 1;
			CHECK(seal_open(&both, 42, "email", sealed, sealed_len, text, &text_len) != SEAL_OK);
			sealed[byte] ^= 1;
		}
		for (size_t cut = 0; cut < sealed_len; cut++)
			CHECK(seal_open(&both, 42, "email", sealed, cut, text, &text_len) != SEAL_OK);

		CHECK_INT(seal_close(&both, 42, "email", texts[i], len, again), SEAL_OK);
		CHECK_INT(seal_key_id(again, sealed_len), 2);
		CHECK_INT(seal_open(&old, 42, "email", again, sealed_len, text, &text_len), SEAL_NO_KEY);
		free(sealed);
		free(again);
		free(text);
	}
	CHECK_INT(seal_close(&(Keyring){0}, 1, "email", "x", 1, (uint8_t[SEAL_OVERHEAD + 1]){0}), SEAL_NO_KEY);
}

static void
hashes(void)
{
	const Keyring a = keyring("hash " KEY_A "\nkey 1 " KEY_A), b = keyring("hash " KEY_B "\nkey 1 " KEY_A);
	uint8_t one[SEAL_HASH_SIZE], two[SEAL_HASH_SIZE];

	CHECK_CASE("hashes");
	CHECK_INT(seal_hash(&a, "email", "x@y.z", 5, one), SEAL_OK);
	CHECK(seal_hash(&a, "email", "x@y.z", 5, two) == SEAL_OK && memcmp(one, two, SEAL_HASH_SIZE) == 0);
	CHECK(seal_hash(&a, "phone", "x@y.z", 5, two) == SEAL_OK && memcmp(one, two, SEAL_HASH_SIZE) != 0);
	CHECK(seal_hash(&a, "email", "x@y.zz", 6, two) == SEAL_OK && memcmp(one, two, SEAL_HASH_SIZE) != 0);
	CHECK(seal_hash(&b, "email", "x@y.z", 5, two) == SEAL_OK && memcmp(one, two, SEAL_HASH_SIZE) != 0);
	CHECK_INT(seal_hash(&(Keyring){0}, "email", "x", 1, two), SEAL_NO_KEY);
}

int
main(void)
{
	files();
	seals();
	hashes();
	return check_done();
}
