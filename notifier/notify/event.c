/*
 * event.c: what the notifier wants of an event (see event.h).
 */
#include <string.h>

#include <jansson.h>

#include "common/ymd.h"
#include "notify/event.h"

static const char *
text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static bool
integer_of(const json_t *data, const char *key, int64_t low, int64_t high, int64_t *value, Err *err)
{
	const json_t *number = json_object_get(data, key);

	if (!json_is_integer(number))
		return err_set(err, "data.%s is missing, or no integer", key);
	*value = json_integer_value(number);
	return *value >= low && *value <= high ? true : err_set(err, "data.%s is out of range", key);
}

static bool
read_kind(const char *type, const json_t *data, NoticeEvent *event, Err *err)
{
	static const char *const types[][2] = {{"bill.settled.v1", "bill"}, {"bill.revised.v1", "rebill"}, {"bill.voided.v1", "void"}};
	const char *kind = text_of(data, "kind");

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(type, types[i][0]) == 0)
		{
			if (kind == NULL || strcmp(kind, types[i][1]) != 0)
				return err_set(err, "data.kind of a %s is not %s", type, types[i][1]);
			strcpy(event->kind, kind);
			return true;
		}
	return err_set(err, "type %.60s is unknown", type);
}

static bool
read_event(const json_t *root, NoticeEvent *event, Err *err)
{
	const char *version = text_of(root, "specversion"), *type = text_of(root, "type");
	const json_t *data = json_object_get(root, "data");
	const char *month = text_of(data, "period");
	int64_t revision;
	Period period;

	if (version == NULL || strcmp(version, "1.0") != 0 || type == NULL || !json_is_object(data))
		return err_set(err, "it is no CloudEvent 1.0 with an object as data");
	if (!read_kind(type, data, event, err))
		return false;
	if (month == NULL || !ymd_parse_period(month, strlen(month), &period))
		return err_set(err, "data.period is missing, or no month");
	strcpy(event->month, month);
	if (!integer_of(data, "account_id", INT64_MIN, INT64_MAX, &event->account_id, err) ||
		!integer_of(data, "run_id", 1, INT64_MAX, &event->run_id, err) ||
		!integer_of(data, "revision", 0, INT16_MAX, &revision, err))
		return false;
	event->revision = (int32_t) revision;
	event->payload = json_dumps(data, JSON_COMPACT);
	return event->payload != NULL ? true : err_set(err, "data cannot be written");
}

bool
event_parse(const char *text, size_t len, NoticeEvent *event, Err *err)
{
	json_error_t fault;

	*event = (NoticeEvent){0};
	if (text == NULL)
		return err_set(err, "it has no value");
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &fault);
	if (root == NULL)
		return err_set(err, "it is no JSON: %.200s at byte %d", fault.text, fault.position);
	const bool read = read_event(root, event, err);
	json_decref(root);
	return read;
}
