// PowerPenalty: a multiple of the sum of |w|^p, or of the p-th root of that sum; L1, L2 and L_p are its cases.
//
//   R = lambda_W c S_W + lambda_B c S_B                S = sum of |w|^p over all weights, over all biases
//   true norm:  S^(1/p) in place of S                  c = factor, or factor / m
//
//   dR/dw = lambda c p |w|^(p-1) sign(w),   true norm: times 1/p S^(1/p - 1), and 0 where S = 0
//
// The readings of the lectures: [000] lambda/2 sum w^2; [002] lambda/(2 m) sum w^2 and lambda/(2 m) sum |w|; [003] sum
// w^2 and sum |w|; [001] lambda_W |W|_p + lambda_B |B|_p, of which it says that p = 2 is the sum of squares.
#pragma once

#include <cmath>

#include "nn/penalties/penalty.h"

namespace chainrule {

template <class T> class PowerPenalty final : public Penalty<T> {
public:
  PowerPenalty(PenaltyTerm term, PenaltyStrength strength, bool true_norm)
      : term_(term), strength_(std::move(strength)), true_norm_(true_norm), power_(power_of(term)) {
    // |w|^32 is a normal number of double precision down to |w| = 3e-10.
    check(power_ >= 1 && power_ <= 32, "p must be 1 to 32; got ", power_);
    strength_.check_numbers();
  }

  PenaltyActs acts() const override { return PenaltyActs::by_gradient; }

  double value(const Pass<T>& pass, std::span<const Parameter> parameters, const PenaltyRows& rows, const T* w,
               double* room) const override {
    double total = 0;
    for (const Role role : {Role::weight, Role::bias}) {
      double factor = 0; // the same for all parameters of a role
      TermSum<T> terms = sum_of_terms(pass, parameters, term_, w, room, [&](const Parameter& p) {
        const double own = p.role == role ? strength_.of(p, rows) : 0;
        if (own != 0) factor = own;
        return own != 0;
      });
      const double sum = terms.value();
      total += factor * (true_norm_ ? std::pow(sum, 1 / power_) : sum);
    }
    return total;
  }

  void add_gradient(const Pass<T>& pass, std::span<const Parameter> parameters, const PenaltyRows& rows, const T* w,
                    T* g, double* room) const override {
    for (const Role role : {Role::weight, Role::bias}) {
      auto is_counted = [&](const Parameter& p) { return p.role == role && strength_.of(p, rows) != 0; };
      const double* sum = nullptr; // S, where its root is taken
      if (true_norm_) sum = sum_of_terms(pass, parameters, term_, w, room, is_counted).sum();
      for (const Parameter& p : parameters) {
        if (!is_counted(p) || !p.learns()) continue;
        pass.kernels.penalty_gradient(pass.team, term_, strength_.of(p, rows), sum, w + p.offset, g + p.offset,
                                      p.size());
      }
    }
  }

private:
  PenaltyTerm term_;
  PenaltyStrength strength_;
  bool true_norm_;
  double power_;
};

} // namespace chainrule
