// The names of the metrics.
#include "train/metrics.h"

#include "core/check.h"

namespace chainrule {

Metric metric_named(const std::string& name) {
  if (name == "accuracy") return Metric::accuracy;
  if (name == "mae") return Metric::mae;
  check(name == "mse", "unknown metric \"", name, "\"; known are: accuracy, mae, mse");
  return Metric::mse;
}

} // namespace chainrule
