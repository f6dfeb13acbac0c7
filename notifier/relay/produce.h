/*
 * produce.h: the thread that brings frames into Kafka, exactly once.
 */
#ifndef RELAY_PRODUCE_H
#define RELAY_PRODUCE_H

#include "relay/state.h"

/*
 * Runs until state->stopping and the queue is empty. Whenever wanted_epoch rises it opens a producer: transactions of an
 * earlier process are ended and fenced, topics are looked up, the stored position is read; then state is READY, and items
 * of that epoch are brought to Kafka from the first ITEM_START on. Any error closes the producer and is reported; the main
 * thread decides when to ask for the next epoch.
 */
void *produce_thread(void *state);

void item_free(void *item);

#endif
