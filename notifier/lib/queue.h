/*
 * queue.h: a queue between two threads that is bounded by bytes.
 *
 * Items are the caller's; the queue knows their cost. queue_push() never waits: the pusher looks at queue_is_full() and
 * stops reading its source instead, and is woken (the `drained` callback) when less than half of the bound is left.
 */
#ifndef LIB_QUEUE_H
#define LIB_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Queue Queue;

Queue *queue_new(size_t bound, void (*drained)(void *arg), void *arg);
void queue_push(Queue *queue, void *item, size_t cost);
bool queue_is_full(Queue *queue);
size_t queue_bytes(Queue *queue);

/* The next item; waits so long, in milliseconds, and returns NULL when none came. */
void *queue_pop(Queue *queue, int64_t wait_ms);

/* Ends a wait in queue_pop() at once. */
void queue_wake(Queue *queue);

/* Hands every item to `drop`. */
void queue_clear(Queue *queue, void (*drop)(void *item));
void queue_free(Queue *queue, void (*drop)(void *item));

#endif
