/* Counts the instructions that the main thread of an emulated program executes (QEMU plugin API, version 1).
 *
 *   qemu-aarch64 -plugin libinsncount.so,page=FD ...
 *
 * FD is the descriptor of a file of at least 4096 bytes, which the program inherits, maps, and reads the count
 * from: 64 bits at its start. Other threads are not counted: a runtime's housekeeping thread wakes up by the
 * wall clock, so that counting it would make counts depend on the load of the machine.
 *
 * Debian ships no qemu-plugin.h; these are the declarations that are needed. No function of the C library is
 * called but mmap and strncmp, so that the plugin loads beside another version of the library than the compiler's.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define EXPORTED __attribute__((visibility("default")))
#define PAGE_BYTES 4096

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_info_s;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
typedef void (*translation_callback)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*execution_callback)(unsigned int vcpu, void *data);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, translation_callback);
void qemu_plugin_register_vcpu_tb_exec_cb(
    struct qemu_plugin_tb *, execution_callback, enum qemu_plugin_cb_flags, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);

EXPORTED int qemu_plugin_version = 1;

static volatile uint64_t *count;

/* In user mode every thread is a virtual processor; the first is the main thread. */
static void executed(unsigned int vcpu, void *instructions)
{
    if (vcpu == 0)
        *count += (uintptr_t)instructions;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(
        block, executed, QEMU_PLUGIN_CB_NO_REGS, (void *)(uintptr_t)qemu_plugin_tb_n_insns(block));
}

EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_s *info, int argc, char **argv)
{
    int descriptor = -1;
    (void)info;
    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], "page=", 5) == 0) {
            descriptor = 0;
            for (const char *digit = argv[i] + 5; *digit >= '0' && *digit <= '9'; digit++)
                descriptor = 10 * descriptor + (*digit - '0');
        }
    void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (page == MAP_FAILED)
        return -1;
    count = page;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
