// Loss: how far a prediction is from the targets, and the gradient by the prediction, in one pass.
#pragma once

#include <optional>
#include <string>

#include "core/named.h"
#include "nn/pass.h"

namespace chainrule {

/// What the sum over a batch (B, K) is divided by: B K, B, or nothing. The gradient is divided too, so that a sum at a
/// learning rate of 1/B of the mean's makes the same steps.
enum class Reduction { mean, mean_rows, sum };
inline constexpr const char* reduction_names[] = {"mean", "mean_rows", "sum"};

template <class T> class Loss {
public:
  explicit Loss(Reduction reduction) : reduction_(reduction) {}
  virtual ~Loss() = default;

  /// Whether the loss of a batch is a mean over its rows (then so is that of an epoch) or a sum.
  bool is_mean() const { return reduction_ != Reduction::sum; }
  /// Whether class numbers (B) may stand for targets (B, K).
  virtual bool takes_labels() const { return false; }
  /// Where it can do its work.
  virtual Runs runs() const { return Runs::anywhere; }

  /// row_loss (B): what each row adds to the loss of the batch; dp (B, K): the gradient of that loss, not computed
  /// where dp.data is null. weight (B) multiplies a row's loss and gradient; null for 1. A mean divides by the
  /// number of rows, not by the sum of the weights. Called by all threads; the caller places a barrier after it.
  virtual void evaluate(const Pass<T>&, const MatrixView<const T>& p, const Targets<T>&, const T* weight, T* row_loss,
                        const MatrixView<T>& dp) const = 0;
  /// This loss of a batch (B, K) for a step that a device takes as one (kernels.h), if that knows it.
  virtual std::optional<NarrowLoss> narrow(Index rows, Index outputs) const {
    (void)rows;
    (void)outputs;
    return {};
  }

protected:
  Reduction reduction() const { return reduction_; }
  /// What a row's loss is multiplied by where rows alone are divided by; and with its weight (B), null for 1.
  double row_scale(Index rows) const { return is_mean() ? 1 / static_cast<double>(rows) : 1; }
  double row_factor(Index rows, const T* weight, Index row) const {
    return row_scale(rows) * (weight == nullptr ? 1 : static_cast<double>(weight[row]));
  }

private:
  Reduction reduction_;
};

} // namespace chainrule
