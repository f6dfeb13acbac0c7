/*
 * contact.c: sealing, masking and hashing of contact data for SQL.
 *
 * Nothing here opens a value for a caller: settle.reseal() opens and seals again in one step. The keyring is the file that
 * settle.keyring_file names; a session reads it when it first needs it, and again when the file has changed.
 */
#include "compat.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "pgtime.h"
#include "storage/fd.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "common/mask.h"
#include "common/seal.h"
#include "guc.h"

#define KEYRING_FILE_MAX (64 * 1024)

PG_FUNCTION_INFO_V1(settle_seal);
PG_FUNCTION_INFO_V1(settle_reseal);
PG_FUNCTION_INFO_V1(settle_seal_hash);
PG_FUNCTION_INFO_V1(settle_mask);
PG_FUNCTION_INFO_V1(settle_key_ids);
PG_FUNCTION_INFO_V1(settle_is_time_zone);

/* ---- keyring ------------------------------------------------------------------------------------------------------ */

static Keyring keyring;
static struct stat keyring_seen; /* of the file it was read from; st_ino 0 = none */

static void
check_file(const char *path, const struct stat *seen)
{
	if (!S_ISREG(seen->st_mode))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("keyring \"%s\" is not a file", path)));
	if (seen->st_uid != geteuid() && seen->st_uid != 0)
		ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR), errmsg("keyring \"%s\" belongs to another user", path),
						errhint("It must belong to the user the server runs as, or to root.")));
	if (seen->st_mode & (S_IRWXG | S_IRWXO))
		ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR), errmsg("keyring \"%s\" can be read by others", path),
						errhint("chmod 0600 it.")));
	if (seen->st_size > KEYRING_FILE_MAX)
		ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR), errmsg("keyring \"%s\" is too large", path)));
}

static void
read_file(const char *path, const struct stat *seen)
{
	char *text = palloc((Size) seen->st_size + 1);
	FILE *file = AllocateFile(path, "r");
	int line;

	if (file == NULL)
		ereport(ERROR, (errcode_for_file_access(), errmsg("cannot open keyring \"%s\": %m", path)));
	const size_t len = fread(text, 1, (size_t) seen->st_size, file);
	FreeFile(file);
	keyring_seen.st_ino = 0;
	const char *fault = keyring_parse(text, len, &keyring, &line);
	explicit_bzero(text, len);
	if (fault != NULL)
		ereport(ERROR, (errcode(ERRCODE_CONFIG_FILE_ERROR), errmsg("keyring \"%s\": %s", path, fault),
						line > 0 ? errdetail("In line %d.", line) : 0));
	keyring_seen = *seen;
}

static const Keyring *
get_keyring(void)
{
	const char *path = guc_keyring_file;
	struct stat seen;

	if (path == NULL || *path == '\0')
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("there is no keyring to seal contact data with"),
						errhint("Set settle.keyring_file in postgresql.conf; docs/keyring.md says how to make one.")));
	if (stat(path, &seen) != 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("cannot read keyring \"%s\": %m", path)));
	if (keyring_seen.st_ino != 0 && keyring_seen.st_ino == seen.st_ino && keyring_seen.st_dev == seen.st_dev &&
		keyring_seen.st_size == seen.st_size && keyring_seen.st_mtim.tv_sec == seen.st_mtim.tv_sec &&
		keyring_seen.st_mtim.tv_nsec == seen.st_mtim.tv_nsec && keyring_seen.st_mode == seen.st_mode)
		return &keyring;
	check_file(path, &seen);
	read_file(path, &seen);
	return &keyring;
}

/* ---- functions ---------------------------------------------------------------------------------------------------- */

static void
check(SealResult result, int64 account_id, const char *field, uint32 key_id)
{
	if (result == SEAL_OK)
		return;
	ereport(ERROR, (errcode(result == SEAL_FAILED ? ERRCODE_INTERNAL_ERROR : ERRCODE_DATA_CORRUPTED),
					errmsg("%s of account " INT64_FORMAT " cannot be opened: %s", field, account_id, seal_result_text(result)),
					key_id != 0 ? errdetail("It was sealed with key %u.", key_id) : 0));
}

static bytea *
close_value(int64 account_id, const char *field, const void *text, Size len)
{
	bytea *sealed = palloc(VARHDRSZ + len + SEAL_OVERHEAD);

	SET_VARSIZE(sealed, VARHDRSZ + len + SEAL_OVERHEAD);
	if (seal_close(get_keyring(), account_id, field, text, len, (uint8 *) VARDATA(sealed)) != SEAL_OK)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("%s of account " INT64_FORMAT " cannot be sealed", field, account_id)));
	return sealed;
}

Datum
settle_seal(PG_FUNCTION_ARGS)
{
	const text *value = PG_GETARG_TEXT_PP(2);

	PG_RETURN_BYTEA_P(close_value(PG_GETARG_INT64(0), text_to_cstring(PG_GETARG_TEXT_PP(1)), VARDATA_ANY(value),
								  VARSIZE_ANY_EXHDR(value)));
}

/* NULL when the newest key has sealed it already. */
Datum
settle_reseal(PG_FUNCTION_ARGS)
{
	const int64 account_id = PG_GETARG_INT64(0);
	const char *field = text_to_cstring(PG_GETARG_TEXT_PP(1));
	const bytea *sealed = PG_GETARG_BYTEA_PP(2);
	const Size sealed_len = VARSIZE_ANY_EXHDR(sealed);
	const uint8 *bytes = (const uint8 *) VARDATA_ANY(sealed);
	const Keyring *keys = get_keyring();
	const uint32 key_id = seal_key_id(bytes, sealed_len);
	size_t len;

	if (key_id == keys->keys[keys->count - 1].id)
		PG_RETURN_NULL();
	char *text = palloc(sealed_len);
	check(seal_open(keys, account_id, field, bytes, sealed_len, text, &len), account_id, field, key_id);
	bytea *again = close_value(account_id, field, text, len);
	explicit_bzero(text, len);
	PG_RETURN_BYTEA_P(again);
}

Datum
settle_seal_hash(PG_FUNCTION_ARGS)
{
	const char *field = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const text *value = PG_GETARG_TEXT_PP(1);
	bytea *hash = palloc(VARHDRSZ + SEAL_HASH_SIZE);

	SET_VARSIZE(hash, VARHDRSZ + SEAL_HASH_SIZE);
	if (seal_hash(get_keyring(), field, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), (uint8 *) VARDATA(hash)) != SEAL_OK)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("%s cannot be hashed", field)));
	PG_RETURN_BYTEA_P(hash);
}

/* What cannot be masked by its rule is hidden whole: a mask that shows everything is none. */
Datum
settle_mask(PG_FUNCTION_ARGS)
{
	const char *field = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const text *value = PG_GETARG_TEXT_PP(1);
	const char *data = VARDATA_ANY(value);
	const Size len = VARSIZE_ANY_EXHDR(value);
	char *mask = palloc(len + MASK_GROWTH);
	size_t mask_len;

	if (strcmp(field, "name") == 0)
		mask_len = mask_name(data, len, mask);
	else if (strcmp(field, "email") == 0)
		mask_len = mask_email(data, len, mask);
	else if (strcmp(field, "phone") == 0)
		mask_len = mask_phone(data, len, mask);
	else
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("no mask for \"%s\"", field)));
	if (!mask_hides(data, len, mask, mask_len))
		PG_RETURN_TEXT_P(cstring_to_text("***"));
	PG_RETURN_TEXT_P(cstring_to_text_with_len(mask, (int) mask_len));
}

Datum
settle_key_ids(PG_FUNCTION_ARGS)
{
	const Keyring *keys = get_keyring();
	Datum ids[SEAL_KEYS_MAX];

	for (size_t i = 0; i < keys->count; i++)
		ids[i] = Int32GetDatum((int32) keys->keys[i].id);
	PG_RETURN_ARRAYTYPE_P(construct_array(ids, (int) keys->count, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

/* A name of the time zone database. pg_timezone_names reads hundreds of files, and POSIX rules are no names. */
Datum
settle_is_time_zone(PG_FUNCTION_ARGS)
{
	const char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const bool is_rule = strchr(name, '/') == NULL && strpbrk(name, "0123456789,<") != NULL;

	PG_RETURN_BOOL(!is_rule && strlen(name) <= TZ_STRLEN_MAX && pg_tzset(name) != NULL);
}
