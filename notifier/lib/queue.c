/*
 * queue.c: a queue between two threads that is bounded by bytes (see queue.h).
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "lib/queue.h"

typedef struct Link {
	struct Link *next;
	void *item;
	size_t cost;
} Link;

struct Queue {
	pthread_mutex_t mutex; /* protects all below */
	pthread_cond_t filled;
	Link *first;
	Link **last;
	size_t bytes;
	size_t bound;
	bool was_full; /* the pusher waits to hear from us */
	bool woken;
	void (*drained)(void *arg);
	void *arg;
};

Queue *
queue_new(size_t bound, void (*drained)(void *arg), void *arg)
{
	Queue *queue = calloc(1, sizeof(Queue));
	pthread_condattr_t attributes;

	pthread_mutex_init(&queue->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&queue->filled, &attributes);
	pthread_condattr_destroy(&attributes);
	queue->last = &queue->first;
	queue->bound = bound;
	queue->drained = drained;
	queue->arg = arg;
	return queue;
}

void
queue_push(Queue *queue, void *item, size_t cost)
{
	Link *link = malloc(sizeof(Link));

	*link = (Link){.item = item, .cost = cost};
	pthread_mutex_lock(&queue->mutex);
	*queue->last = link;
	queue->last = &link->next;
	queue->bytes += cost;
	pthread_cond_signal(&queue->filled);
	pthread_mutex_unlock(&queue->mutex);
}

bool
queue_is_full(Queue *queue)
{
	pthread_mutex_lock(&queue->mutex);
	const bool full = queue->bytes >= queue->bound;
	queue->was_full |= full;
	pthread_mutex_unlock(&queue->mutex);
	return full;
}

size_t
queue_bytes(Queue *queue)
{
	pthread_mutex_lock(&queue->mutex);
	const size_t bytes = queue->bytes;
	pthread_mutex_unlock(&queue->mutex);
	return bytes;
}

static void
wait_filled(Queue *queue, int64_t wait_ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait_ms / 1000;
	until.tv_nsec += wait_ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000)
	{
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	while (queue->first == NULL && !queue->woken)
		if (pthread_cond_timedwait(&queue->filled, &queue->mutex, &until) != 0)
			break;
}

void *
queue_pop(Queue *queue, int64_t wait_ms)
{
	void *item = NULL;
	bool tell = false;

	pthread_mutex_lock(&queue->mutex);
	if (queue->first == NULL && wait_ms > 0)
		wait_filled(queue, wait_ms);
	queue->woken = false;
	Link *link = queue->first;
	if (link != NULL)
	{
		item = link->item;
		queue->first = link->next;
		if (queue->first == NULL)
			queue->last = &queue->first;
		queue->bytes -= link->cost;
		tell = queue->was_full && queue->bytes < queue->bound / 2;
		if (tell)
			queue->was_full = false;
	}
	pthread_mutex_unlock(&queue->mutex);
	free(link);
	if (tell)
		queue->drained(queue->arg);
	return item;
}

void
queue_wake(Queue *queue)
{
	pthread_mutex_lock(&queue->mutex);
	queue->woken = true;
	pthread_cond_signal(&queue->filled);
	pthread_mutex_unlock(&queue->mutex);
}

void
queue_clear(Queue *queue, void (*drop)(void *item))
{
	void *item;

	while ((item = queue_pop(queue, 0)) != NULL)
		drop(item);
}

void
queue_free(Queue *queue, void (*drop)(void *item))
{
	queue_clear(queue, drop);
	pthread_cond_destroy(&queue->filled);
	pthread_mutex_destroy(&queue->mutex);
	free(queue);
}
