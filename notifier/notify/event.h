/*
 * event.h: what the notifier wants of an event.
 */
#ifndef NOTIFY_EVENT_H
#define NOTIFY_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

typedef struct NoticeEvent {
	int64_t account_id;
	int64_t run_id;
	int32_t revision;
	char month[8]; /* 2024-05 */
	char kind[8];  /* bill, rebill, void */
	char *payload; /* the event's data as JSON; the caller's to free */
} NoticeEvent;

/* Reads a CloudEvent of a bill; false with what is wrong with it. */
bool event_parse(const char *text, size_t len, NoticeEvent *event, Err *err) MUST_CHECK;

#endif
