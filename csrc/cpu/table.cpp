// Picks the table of an instruction set by what the processor and the operating system say they run.
//
// __builtin_cpu_supports asks CPUID for the instructions and XGETBV for the registers that the operating system
// saves; the model number is never looked at. Compiled without any special instruction set.
#include "cpu/table.h"

#include <atomic>
#include <cstdlib>

#include "core/check.h"

namespace chainrule::cpu {

#define CHAINRULE_DECLARE(isa)                                                                                         \
  namespace isa {                                                                                                      \
  const Device& device();                                                                                              \
  }
CHAINRULE_ISAS(CHAINRULE_DECLARE) // a list that CMake defines, best first: X(avx512) X(avx2) X(baseline)
#undef CHAINRULE_DECLARE

namespace {

[[maybe_unused]] bool runs_native() { return true; } // compiled for this very machine, on request
[[maybe_unused]] bool runs_baseline() { return true; }
#if defined(__x86_64__)
// Exactly the features that CMakeLists.txt lets the compiler use.
[[maybe_unused]] bool runs_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2");
}
[[maybe_unused]] bool runs_avx512() {
  return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

struct Entry {
  const char* name;
  bool (*runs)();
  const Device& (*device)();
};

constexpr Entry entries[] = {
#define CHAINRULE_ENTRY(isa) {#isa, runs_##isa, isa::device},
    CHAINRULE_ISAS(CHAINRULE_ENTRY)
#undef CHAINRULE_ENTRY
};

std::atomic<const Device*> chosen{nullptr};

} // namespace

std::vector<std::string> isas() {
  std::vector<std::string> names;
  for (const Entry& entry : entries) {
    if (entry.runs()) names.emplace_back(entry.name);
  }
  return names;
}

const Device& device(const std::string& isa) {
  std::string known;
  for (const Entry& entry : entries) {
    if (isa == entry.name) {
      check(entry.runs(), "this processor does not run the instruction set \"", isa, "\"");
      return entry.device();
    }
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  fail("unknown instruction set \"", isa, "\"; this build has: ", known);
}

const Device& device() {
  if (const Device* current = chosen.load()) return *current;
  const char* wish = std::getenv("CHAINRULE_ISA");
  const Device& first = device(wish != nullptr && *wish != '\0' ? std::string(wish) : isas().front());
  chosen.store(&first);
  return first;
}

void use_isa(const std::string& isa) { chosen.store(&device(isa)); }

} // namespace chainrule::cpu
