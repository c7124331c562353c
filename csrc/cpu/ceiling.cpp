// The ceiling: multiply-adds that touch no memory, as many as this instruction set lets a core start. Benchmarks judge
// matrix products by it; it computes nothing.
#include "cpu/operations.h"
#include "cpu/vector.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

/// x <- x a + b, `rounds` times on every chain; x goes to b / (1 - a) = 2, so no number is ever denormal.
template <class T> Multiplied multiply_adds(Index rounds) {
  // A multiply-add takes 4 or 5 cycles and two start in each: ten chains keep both units busy, and their registers and
  // those of a and b are within 16.
  constexpr int chains = 10;
  // Read from memory: a compiler that knows a and b sees that the chain that begins at 2 stays there: one less to do.
  volatile T half = T(0.5), one = 1;
  const Vec<T> a(half), b(one);
  Vec<T> x[chains];
  for (int i = 0; i < chains; ++i) x[i] = Vec<T>(i);
  for (Index round = 0; round < rounds; ++round) {
#pragma GCC unroll 10
    for (int i = 0; i < chains; ++i) x[i] = x[i] * a + b;
  }
  Vec<T> sum(0);
  for (int i = 0; i < chains; ++i) sum = sum + x[i];
  return {2.0 * chains * Vec<T>::width * static_cast<double>(rounds), static_cast<double>(sum_of_lanes(sum))};
}

} // namespace

void list_ceiling(Device& device) {
  device.multiply_adds32 = multiply_adds<float>;
  device.multiply_adds64 = multiply_adds<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
