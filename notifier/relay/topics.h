/*
 * topics.h: the relay's topics.
 */
#ifndef RELAY_TOPICS_H
#define RELAY_TOPICS_H

#include "relay/kafka.h"

/* Opens those of a client that was just made, and finds out how large an event may be. */
KafkaResult topics_open(Kafka *kafka, Err *err) MUST_CHECK;

#endif
