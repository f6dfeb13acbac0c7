/*
 * launcher.h: the process that resumes crashed runs when the server starts (launcher.c).
 */
#ifndef SETTLE_LAUNCHER_H
#define SETTLE_LAUNCHER_H

/* From _PG_init, while shared_preload_libraries are loaded. */
extern void launcher_register(void);

#endif
