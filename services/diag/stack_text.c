#include "diag/stack_text.h"

#include <inttypes.h>

#include "common/clock.h"
#include "probe/symbolize.h"

static uintptr_t offset_in_function(const struct probe_symbol *symbol)
{
	return symbol->function_start ? symbol->pc - symbol->function_start : 0;
}

void stack_text_addresses(struct strbuf *out, const uintptr_t *pcs, size_t pc_count)
{
	for (size_t i = 0; i < pc_count; i++)
		strbuf_printf(out, " %#lx", (unsigned long)pcs[i]);
	strbuf_puts(out, "\n");
}

void stack_text_comments(struct strbuf *out, const uintptr_t *pcs, size_t pc_count)
{
	for (size_t i = 0; i < pc_count; i++) {
		const struct probe_symbol *symbol = probe_symbolize(pcs[i]);

		for (size_t k = 0; k < symbol->frame_count; k++) {
			const struct probe_frame *frame = &symbol->frames[k];

			strbuf_printf(out, "#\t%#lx\t%s+0x%lx\t%s:%d\n", (unsigned long)pcs[i],
				frame->function, (unsigned long)offset_in_function(symbol),
				frame->file, frame->line);
		}
	}
}

void stack_text_frames(struct strbuf *out, const uintptr_t *pcs, size_t pc_count)
{
	for (size_t i = 0; i < pc_count; i++) {
		const struct probe_symbol *symbol = probe_symbolize(pcs[i]);

		for (size_t k = 0; k < symbol->frame_count; k++) {
			const struct probe_frame *frame = &symbol->frames[k];
			const char *where = frame->file;

			if (*where == '\0')
				where = symbol->module ? symbol->module->path : "?";
			strbuf_printf(out, "%s\n\t%s:%d +0x%lx\n", frame->function, where,
				frame->line, (unsigned long)offset_in_function(symbol));
		}
	}
}

void stack_text_duration(struct strbuf *out, int64_t duration_ns)
{
	int64_t seconds = duration_ns / CLOCK_NS_PER_SEC;

	if (seconds == 0)
		strbuf_printf(out, "%" PRId64 " ms", (int64_t)(duration_ns / CLOCK_NS_PER_MS));
	else if (seconds < 60)
		strbuf_printf(out, "%" PRId64 " second%s", seconds, seconds == 1 ? "" : "s");
	else
		strbuf_printf(
			out, "%" PRId64 " minute%s", seconds / 60, seconds / 60 == 1 ? "" : "s");
}
