/*
 * envelope.h: the value of a Kafka message: a CloudEvents 1.0 envelope around an outbox row (structured mode).
 */
#ifndef RELAY_ENVELOPE_H
#define RELAY_ENVELOPE_H

#include <stddef.h>

#include "common/frame.h"

#define ENVELOPE_CONTENT_TYPE "application/cloudevents+json"

/* Writes the envelope into `text`; returns its length, which may exceed `size`: then nothing useful was written. */
size_t envelope_write(const FrameRow *row, const char *source, char *text, size_t size);

#endif
