// Penalties: sums of a term over the parameters, and its derivative added to their gradients: the loops around
// formulas/penalties.h. The sum of squares is also that of a norm.
#include "cpu/operations.h"
#include "cpu/vector_math.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

/// A block is summed in double precision: four chains of registers, one for every fourth register of numbers, so that
/// an addition need not wait for the one before.
template <class T> void penalty_sum(const Team& team, PenaltyTerm term, const T* w, Index n, double* blocks) {
  constexpr Index width = Vec<double>::width;
  const Range share = team.share(sum_blocks(n));
  with_formula(term, [&](auto formula) {
    for (Index block = share.begin; block < share.end; ++block) {
      const Index begin = block * sum_block;
      const Index count = n - begin < sum_block ? n - begin : sum_block;
      auto value = [&](Index i, auto part) { return formula.value(load_as<double>(w + begin + i, part)); };
      Vec<double> totals[4] = {Vec<double>(0), Vec<double>(0), Vec<double>(0), Vec<double>(0)};
      Index i = 0;
      for (; i + 4 * width <= count; i += 4 * width) {
        for (int chain = 0; chain < 4; ++chain) totals[chain] = totals[chain] + value(i + chain * width, Full{});
      }
      // What is left; the lanes beyond it are 0, and the term of 0 is 0.
      each_vector<double>({i, count}, [&](Index j, auto part) { totals[0] = totals[0] + value(j, part); });
      blocks[block] = sum_of_lanes((totals[0] + totals[1]) + (totals[2] + totals[3]));
    }
  });
}

template <class T>
void penalty_gradient(const Team& team, PenaltyTerm term, double factor, const double* sum, const T* w, T* g, Index n) {
  if (sum != nullptr) factor *= root_slope(term, *sum);
  with_formula(term, [&](auto formula) {
    using Number = std::conditional_t<decltype(formula)::in_double, double, T>;
    const Vec<Number> scale(factor);
    each_vector<Number>(team.share(n, line_elements<T>), [&](Index i, auto part) {
      const Vec<Number> slope = formula.slope(load_as<Number>(w + i, part));
      store_as(load_as<Number>(g + i, part) + scale * slope, g + i, part);
    });
  });
}

} // namespace

void list_penalty(Device& device) {
  device.float32.penalty_sum = penalty_sum<float>;
  device.float64.penalty_sum = penalty_sum<double>;
  device.float32.penalty_gradient = penalty_gradient<float>;
  device.float64.penalty_gradient = penalty_gradient<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
