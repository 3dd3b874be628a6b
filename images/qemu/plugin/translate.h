/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Instrumentation of translation blocks. */
#ifndef TRANSLATE_H
#define TRANSLATE_H

#include "counter.h"

void translate_block(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);

#endif
