/*
 * live - a picture on the terminal that is redrawn in place.
 *
 * Two kinds: under the cursor (progress of a switch; what it leaves stays in the scroll-back) and the whole screen
 * (status --watch: alternate screen, single keys). One picture at a time. Each frame leaves in one write, so nothing
 * flickers; a changed window size is met at the next frame.
 */
#ifndef CLI_LIVE_H
#define CLI_LIVE_H

#include "cli/look.h"

/* fd: where it is drawn (a terminal). screen: the whole screen, and keys are read one by one. */
void live_begin(struct look *look, int fd, bool screen);
/* Draws the page, cut to the window. Sizes in `look` follow the window. */
void live_draw(const char *page);
/* Lines that stay, above the picture (not for a whole screen). */
void live_above(const char *text);
/* Takes the picture away (keep: leaves the last frame) and puts the terminal right. */
void live_end(bool keep);
/* Puts the terminal right; may be called from a signal handler and when nothing is drawn. */
void live_restore(void);

#endif
