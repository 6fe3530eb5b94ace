/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fiber.c - a stack of its own and the switch between it and its caller.
 *
 * x86-64 and aarch64: a handful of instructions that save what the ABI says a call must
 * preserve.  Elsewhere, or with NDM_TASK_UCONTEXT: swapcontext(), correct but dearer by a
 * system call each way.  (User shadow stacks do not survive either of our switches; configure
 * chooses ucontext where the compiler enables them.)
 *
 * The switch is annotated for ASan and TSan, so that sanitizer builds see through it.  A
 * fiber may be resumed by another OS thread than the one that left it.
 *
 * Stacks are 64 KiB above a guard page, mapped lazily.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core.h"

#if defined(__has_feature)
# if __has_feature(address_sanitizer)
#  define FIBER_ASAN 1
# endif
# if __has_feature(thread_sanitizer)
#  define FIBER_TSAN 1
# endif
#endif
#if defined(__SANITIZE_ADDRESS__)
# define FIBER_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
# define FIBER_TSAN 1
#endif

#ifdef FIBER_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef FIBER_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#if !defined(NDM_TASK_UCONTEXT) && !defined(__x86_64__) && !defined(__aarch64__)
#define NDM_TASK_UCONTEXT 1
#endif
#ifdef NDM_TASK_UCONTEXT
#include <ucontext.h>
#endif

#ifdef FIBER_ASAN
#define STACK_BYTES (256u << 10)		/* redzones make frames several times larger */
#else
#define STACK_BYTES (64u << 10)
#endif
#define STACK_PAINT 0x5au

struct ndm_fiber {
#ifdef NDM_TASK_UCONTEXT
	ucontext_t self, caller;
#else
	void *self_sp, *caller_sp;
#endif
	unsigned char *stack;			/* lowest usable byte */
	size_t guard_bytes;
	void (*entry)(void *);
	void *arg;
#ifdef FIBER_ASAN
	void *self_fake, *caller_fake;
	const void *caller_stack;
	size_t caller_stack_bytes;
#endif
#ifdef FIBER_TSAN
	void *self_tsan, *caller_tsan;
#endif
};

#ifndef NDM_TASK_UCONTEXT
void ndm_fiber_switch(void **save_sp, void *load_sp);
void ndm_fiber_start(void);
#endif

#if !defined(NDM_TASK_UCONTEXT) && defined(__x86_64__)
__asm__(
	".text\n"
	".globl ndm_fiber_switch\n"
	".hidden ndm_fiber_switch\n"
	".type ndm_fiber_switch,@function\n"
	"ndm_fiber_switch:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	".size ndm_fiber_switch,.-ndm_fiber_switch\n"
	/* first entry: the fiber was put into rbx by fiber_prepare() */
	".globl ndm_fiber_start\n"
	".hidden ndm_fiber_start\n"
	".type ndm_fiber_start,@function\n"
	"ndm_fiber_start:\n"
	"	xorl %ebp, %ebp\n"
	"	movq %rbx, %rdi\n"
	"	call ndm_fiber_main\n"
	"	ud2\n"
	".size ndm_fiber_start,.-ndm_fiber_start\n"
);
#endif

#if !defined(NDM_TASK_UCONTEXT) && defined(__aarch64__)
__asm__(
	".text\n"
	".globl ndm_fiber_switch\n"
	".hidden ndm_fiber_switch\n"
	".type ndm_fiber_switch,%function\n"
	"ndm_fiber_switch:\n"
	"	sub sp, sp, #160\n"
	"	stp x19, x20, [sp, #0]\n"
	"	stp x21, x22, [sp, #16]\n"
	"	stp x23, x24, [sp, #32]\n"
	"	stp x25, x26, [sp, #48]\n"
	"	stp x27, x28, [sp, #64]\n"
	"	stp x29, x30, [sp, #80]\n"
	"	stp d8, d9, [sp, #96]\n"
	"	stp d10, d11, [sp, #112]\n"
	"	stp d12, d13, [sp, #128]\n"
	"	stp d14, d15, [sp, #144]\n"
	"	mov x9, sp\n"
	"	str x9, [x0]\n"
	"	mov sp, x1\n"
	"	ldp x19, x20, [sp, #0]\n"
	"	ldp x21, x22, [sp, #16]\n"
	"	ldp x23, x24, [sp, #32]\n"
	"	ldp x25, x26, [sp, #48]\n"
	"	ldp x27, x28, [sp, #64]\n"
	"	ldp x29, x30, [sp, #80]\n"
	"	ldp d8, d9, [sp, #96]\n"
	"	ldp d10, d11, [sp, #112]\n"
	"	ldp d12, d13, [sp, #128]\n"
	"	ldp d14, d15, [sp, #144]\n"
	"	add sp, sp, #160\n"
	"	ret\n"
	".size ndm_fiber_switch,.-ndm_fiber_switch\n"
	".globl ndm_fiber_start\n"
	".hidden ndm_fiber_start\n"
	".type ndm_fiber_start,%function\n"
	"ndm_fiber_start:\n"
	"	mov x29, #0\n"
	"	mov x0, x19\n"
	"	bl ndm_fiber_main\n"
	"	brk #1\n"
	".size ndm_fiber_start,.-ndm_fiber_start\n"
);
#endif

/* sanitizers must be told before and after each switch */
static void note_leave(struct ndm_fiber *f)
{
	(void)f;
#ifdef FIBER_ASAN
	__sanitizer_start_switch_fiber(&f->self_fake, f->caller_stack, f->caller_stack_bytes);
#endif
#ifdef FIBER_TSAN
	__tsan_switch_to_fiber(f->caller_tsan, 0);
#endif
}

static void note_entered(struct ndm_fiber *f)
{
	(void)f;
#ifdef FIBER_ASAN
	__sanitizer_finish_switch_fiber(f->self_fake, &f->caller_stack, &f->caller_stack_bytes);
#endif
}

static void switch_out(struct ndm_fiber *f)
{
#ifdef NDM_TASK_UCONTEXT
	swapcontext(&f->self, &f->caller);
#else
	ndm_fiber_switch(&f->self_sp, f->caller_sp);
#endif
}

static void switch_in(struct ndm_fiber *f)
{
#ifdef NDM_TASK_UCONTEXT
	swapcontext(&f->caller, &f->self);
#else
	ndm_fiber_switch(&f->caller_sp, f->self_sp);
#endif
}

/* Runs entry again each time the fiber is restarted: the stack is never unwound. */
__attribute__((used, noreturn)) void ndm_fiber_main(struct ndm_fiber *f);
__attribute__((used, noreturn)) void ndm_fiber_main(struct ndm_fiber *f)
{
	note_entered(f);
	for (;;) {
		f->entry(f->arg);
		fiber_leave(f);
	}
}

#ifdef NDM_TASK_UCONTEXT
static void ucontext_entry(unsigned high, unsigned low)
{
	ndm_fiber_main((struct ndm_fiber *)(((uintptr_t)high << 16 << 16) | low));
}

static void fiber_prepare(struct ndm_fiber *f)
{
	uintptr_t p = (uintptr_t)f;

	getcontext(&f->self);
	f->self.uc_stack.ss_sp = f->stack;
	f->self.uc_stack.ss_size = STACK_BYTES;
	f->self.uc_link = NULL;
	makecontext(&f->self, (void (*)(void))ucontext_entry, 2, (unsigned)(p >> 16 >> 16),
		    (unsigned)p);
}
#elif defined(__x86_64__)
static void fiber_prepare(struct ndm_fiber *f)
{
	void **sp = (void **)(f->stack + STACK_BYTES);

	*--sp = NULL;				/* at ndm_fiber_start the stack is 16-byte */
	*--sp = NULL;				/* aligned, as a call expects it */
	*--sp = (void *)ndm_fiber_start;
	*--sp = NULL;				/* rbp */
	*--sp = f;				/* rbx */
	*--sp = NULL;				/* r12 */
	*--sp = NULL;
	*--sp = NULL;
	*--sp = NULL;				/* r15 */
	f->self_sp = sp;
}
#else
static void fiber_prepare(struct ndm_fiber *f)
{
	uint64_t *sp = (uint64_t *)(f->stack + STACK_BYTES) - 20;

	memset(sp, 0, 160);
	sp[0] = (uint64_t)f;			/* x19 */
	sp[11] = (uint64_t)ndm_fiber_start;	/* x30 */
	f->self_sp = sp;
}
#endif

struct ndm_fiber *fiber_new(void (*entry)(void *), void *arg)
{
	struct ndm_fiber *f = calloc(1, sizeof *f);
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char *map;

	if (!f)
		return NULL;
	map = mmap(NULL, STACK_BYTES + page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (map == MAP_FAILED) {
		free(f);
		return NULL;
	}
	mprotect(map, page, PROT_NONE);
	f->stack = map + page;
	f->guard_bytes = page;
	f->entry = entry;
	f->arg = arg;
#ifdef NDM_TASK_PAINT
	memset(f->stack, STACK_PAINT, STACK_BYTES);
#endif
#ifdef FIBER_TSAN
	f->self_tsan = __tsan_create_fiber(0);
#endif
	fiber_prepare(f);
	return f;
}

void fiber_free(struct ndm_fiber *f)
{
#ifdef FIBER_TSAN
	__tsan_destroy_fiber(f->self_tsan);
#endif
	munmap(f->stack - f->guard_bytes, STACK_BYTES + f->guard_bytes);
	free(f);
}

void fiber_restart(struct ndm_fiber *f)
{
	(void)f;				/* ndm_fiber_main() loops */
}

void fiber_resume(struct ndm_fiber *f)
{
#ifdef FIBER_ASAN
	__sanitizer_start_switch_fiber(&f->caller_fake, f->stack, STACK_BYTES);
#endif
#ifdef FIBER_TSAN
	f->caller_tsan = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(f->self_tsan, 0);
#endif
	switch_in(f);
#ifdef FIBER_ASAN
	__sanitizer_finish_switch_fiber(f->caller_fake, NULL, NULL);
#endif
}

void fiber_leave(struct ndm_fiber *f)
{
	note_leave(f);
	switch_out(f);
	note_entered(f);
}

size_t fiber_high_water(const struct ndm_fiber *f)
{
	size_t i = 0;

	while (i < STACK_BYTES && f->stack[i] == STACK_PAINT)
		i++;
	return STACK_BYTES - i;
}
