/*
 * checks.h: what the daemons' own checks of their settings (Conf.check) have in common.
 */
#ifndef LIB_CHECKS_H
#define LIB_CHECKS_H

#include <librdkafka/rdkafka.h>

#include "lib/conf.h"

/* Kafka takes it as the name of a topic. `key` is for the message. */
bool check_topic(const char *key, const char *topic, Err *err) MUST_CHECK;

/*
 * All kafka.* in a configuration that nobody opens, for the caller to look at and to destroy; NULL when librdkafka refuses
 * one of them, or no broker is named.
 */
rd_kafka_conf_t *check_kafka(const Conf *conf, Err *err) MUST_CHECK;

#endif
