// The memory of this process. Not in the header: what operations include must hold no function that the linker could
// take from a file compiled for another instruction set.
#include "core/memory.h"

#include <cstring>
#include <new>

namespace chainrule {

namespace {

void* allocate(std::size_t bytes) { return ::operator new (bytes, std::align_val_t{alignment_bytes}); }
void release(void* memory) noexcept { ::operator delete (memory, std::align_val_t{alignment_bytes}); }
void clear(void* at, std::size_t bytes) { std::memset(at, 0, bytes); }
void copy(void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); }

} // namespace

const Memory host_memory{allocate, release, clear, copy, copy, copy};

} // namespace chainrule
