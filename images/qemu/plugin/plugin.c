/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * orch's instruction counter: a TCG plugin for QEMU 10.0 (plugin API 4).
 *
 *   -plugin counter.so,socket=PATH[,mode=fast|reference|both][,report=FILE]
 *
 * It counts executed instructions per vCPU, world and exception level, records
 * markers, and answers on a UNIX socket. Manual: docs/counting.md.
 */
#include <stdio.h>
#include <string.h>

#include "counter.h"
#include "place.h"
#include "record.h"
#include "reply.h"
#include "server.h"
#include "translate.h"

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static char *report_path;
static struct server *server;
static GMutex start_lock;
static GThread *first_thread; /* that of the first vCPU to start */

/* One line on stderr; the value makes QEMU refuse the plugin. */
static int refuse(const char *problem, const char *what)
{
	fprintf(stderr, "counter plugin: %s%s%s\n", problem, what ? ": " : "", what ? what : "");
	return -1;
}

/*
 * With all vCPUs in one thread (icount, thread=single) QEMU 10.0 compiles the
 * number of the vCPU that translates a block into what plugins plant there,
 * although all vCPUs execute it (gen_cpu_index() in accel/tcg/plugin-gen.c), and
 * clobbers that constant when it is used twice. Nothing here could be trusted.
 */
static void check_threading(void)
{
	if (!first_thread)
		first_thread = g_thread_self();
	else if (first_thread == g_thread_self())
		counter_fatal("icount or single-threaded TCG works with one vCPU only: use -smp 1");
}

static void on_vcpu_start(qemu_plugin_id_t id, unsigned vcpu)
{
	(void)id;
	if (vcpu >= counter.smp)
		counter_fatal("vCPU %u was added; only the first %u are known", vcpu, counter.smp);
	g_mutex_lock(&start_lock);
	check_threading();
	place_find_registers();
	counter.buffers[vcpu] = g_byte_array_sized_new(8);
	__atomic_add_fetch(&counter.started, 1, __ATOMIC_RELEASE);
	g_mutex_unlock(&start_lock);
}

/*
 * Written to a temporary name and renamed, so that a reader never sees half a
 * file. Runs in exit(): a failure can only be told.
 */
static void write_report(const char *path)
{
	GString *report = reply_report();
	GError *error = NULL;

	if (!g_file_set_contents(path, report->str, (gssize)report->len, &error))
		fprintf(stderr, "counter plugin: cannot write %s: %s\n", path, error->message);
	g_string_free(report, TRUE);
}

/* QEMU has stopped all vCPUs by now (vm_shutdown() in qemu_cleanup()). */
static void on_exit_of_qemu(qemu_plugin_id_t id, void *data)
{
	(void)id;
	(void)data;
	server_stop(server);
	if (report_path)
		write_report(report_path);
}

static int parse_mode(const char *text)
{
	if (!strcmp(text, "fast"))
		counter.mode = MODE_FAST;
	else if (!strcmp(text, "reference"))
		counter.mode = MODE_REFERENCE;
	else if (!strcmp(text, "both"))
		counter.mode = MODE_BOTH;
	else
		return refuse("mode is none of fast, reference, both", text);
	return 0;
}

static int parse_path(char **slot, const char *argument)
{
	const char *value = strchr(argument, '=') + 1;

	if (*slot || !*value)
		return refuse(*slot ? "given twice" : "empty path", argument);
	*slot = g_strdup(value);
	return 0;
}

static int parse_arguments(int argc, char **argv)
{
	int status = 0;

	for (int i = 0; i < argc && !status; i++) {
		if (g_str_has_prefix(argv[i], "socket="))
			status = parse_path(&counter.socket_path, argv[i]);
		else if (g_str_has_prefix(argv[i], "report="))
			status = parse_path(&report_path, argv[i]);
		else if (g_str_has_prefix(argv[i], "mode="))
			status = parse_mode(argv[i] + strlen("mode="));
		else
			status = refuse("unknown argument (known: socket, mode, report)", argv[i]);
	}
	if (!status && !counter.socket_path)
		status = refuse("socket=PATH is missing", NULL);
	return status;
}

static int check_machine(const qemu_info_t *info)
{
	if (strcmp(info->target_name, "aarch64") || !info->system_emulation)
		return refuse("only for qemu-system-aarch64, not for", info->target_name);
	counter.smp = (unsigned)info->system.max_vcpus;
	counter.api_min = info->version.min;
	counter.api_cur = info->version.cur;
	return 0;
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info,
					   int argc, char **argv)
{
	const char *problem;

	if (check_machine(info) || parse_arguments(argc, argv))
		return -1;
	counter.scores = qemu_plugin_scoreboard_new(sizeof(struct score));
	counter.buffers = g_new0(GByteArray *, counter.smp);
	g_mutex_init(&start_lock);
	record_init();
	server = server_start(counter.socket_path, &problem);
	if (!server) {
		fprintf(stderr, "counter plugin: socket %s: %s\n", counter.socket_path, problem);
		return -1;
	}
	qemu_plugin_register_vcpu_init_cb(id, on_vcpu_start);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate_block);
	qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
	return 0;
}
