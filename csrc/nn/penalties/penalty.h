// Penalty: what is added to the loss for the parameters themselves; and what shrinks them beside the gradient.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/named.h"
#include "nn/layer_rates.h"
#include "nn/numbers.h"
#include "nn/parameter.h"
#include "nn/pass.h"
#include "nn/term_sum.h"

namespace chainrule {

/// The numbers m that a penalty may be divided by.
struct PenaltyRows {
  double data = 1;  // rows of the training set
  double batch = 1; // rows of the batch at hand
};

/// What a penalty divides by: nothing; m, the rows of the training set (lecture [002]); or the rows of the batch, as
/// scikit-learn does, so that the penalty depends on the size of the batches.
enum class PenaltyPer { one, data, batch };
inline constexpr const char* penalty_per_names[] = {"one", "data", "batch"};

/// How strongly each parameter is counted: lambda of the weights and of the biases, in all layers or in some.
struct PenaltyStrength {
  double weights = 0, biases = 0; // lambda_W, lambda_B; all else is never counted
  double factor = 1;              // 1 or 1/2
  PenaltyPer per = PenaltyPer::one;
  std::optional<std::vector<Index>> layers{};

  void check_numbers() const {
    representable<double>("the strength of a penalty", weights);
    representable<double>("the strength of a penalty", biases);
    representable<double>("the factor of a penalty", factor);
  }

  /// lambda * factor / m for a parameter, 0 where it is not counted.
  double of(const Parameter& parameter, const PenaltyRows& rows) const {
    const double lambda = parameter.role == Role::weight ? weights : parameter.role == Role::bias ? biases : 0;
    if (lambda == 0 || !covers(parameter.layer)) return 0;
    return lambda * factor / (per == PenaltyPer::one ? 1 : per == PenaltyPer::data ? rows.data : rows.batch);
  }

private:
  bool covers(Index layer) const {
    if (!layers) return true;
    for (const Index one : *layers) {
      if (one == layer) return true;
    }
    return false;
  }
};

/// How a penalty acts on the parameters: by its gradient, or by shrinking them itself, before or after the update.
enum class PenaltyActs { by_gradient, before_update, after_update };

template <class T> class Penalty {
public:
  virtual ~Penalty() = default;

  virtual PenaltyActs acts() const = 0;

  // All are called by all threads. w and g are the arena and its gradients; `room` is that of sums over all parameters
  // (term_sum_room), in the device's memory. An element is read and written by one thread; the caller places a
  // barrier after each. Frozen parameters count in the value, but nothing changes them.

  /// The penalty of the parameters; each thread gets the result. Waits for the device.
  virtual double value(const Pass<T>&, std::span<const Parameter>, const PenaltyRows&, const T* w,
                       double* room) const = 0;
  /// g += the penalty's gradient at w, where it acts by that.
  virtual void add_gradient(const Pass<T>&, std::span<const Parameter>, const PenaltyRows&, const T* w, T* g,
                            double* room) const {
    (void)w, (void)g, (void)room;
  }
  /// Shrinks w, where it acts by that.
  virtual void shrink(const Pass<T>&, std::span<const Parameter>, const PenaltyRows&, const LayerRates&, T* w) const {
    (void)w;
  }
};

/// The sum of a term over the parameters that `counted` names. Called by all threads.
template <class T, class Counted>
TermSum<T> sum_of_terms(const Pass<T>& pass, std::span<const Parameter> parameters, PenaltyTerm term, const T* w,
                        double* room, Counted counted) {
  TermSum<T> sum(pass, term, room);
  for (const Parameter& parameter : parameters) {
    if (counted(parameter)) sum.add(w + parameter.offset, parameter.size());
  }
  return sum;
}

} // namespace chainrule
