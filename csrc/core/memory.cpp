// The memory of this process. Not in the header: what operations include must hold no function that the linker could
// take from a file compiled for another instruction set.
#include "core/memory.h"

#include <cstdint>
#include <cstring>
#include <new>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace chainrule {

namespace {

// The kernel hands out memory as it is first touched, 4 KiB at a time, some 0.5 us each: 48 MB of parameters, copied
// once, waited 13 ms for that. Asked, it hands out 2 MiB at a time; below two such pages nothing would be won.
#ifdef __linux__
constexpr std::size_t huge_page = 2 << 20;

void ask_for_huge_pages(void* memory, std::size_t bytes) {
  if (bytes < 2 * huge_page) return;
  const std::size_t to_boundary = (huge_page - reinterpret_cast<std::uintptr_t>(memory) % huge_page) % huge_page;
  const std::size_t whole = (bytes - to_boundary) / huge_page * huge_page;
  madvise(static_cast<char*>(memory) + to_boundary, whole, MADV_HUGEPAGE); // where there are none, all stays as it was
}
#else
void ask_for_huge_pages(void*, std::size_t) {}
#endif

void* allocate(std::size_t bytes) {
  void* const memory = ::operator new (bytes, std::align_val_t{alignment_bytes});
  ask_for_huge_pages(memory, bytes);
  return memory;
}
void release(void* memory) noexcept { ::operator delete (memory, std::align_val_t{alignment_bytes}); }
void clear(void* at, std::size_t bytes) { std::memset(at, 0, bytes); }
void copy(void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); }

} // namespace

const Memory host_memory{allocate, release, clear, copy, copy, copy};

} // namespace chainrule
