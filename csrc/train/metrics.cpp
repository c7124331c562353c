// The names of the metrics.
#include "train/metrics.h"

#include "core/named.h"

namespace chainrule {

Metric metric_named(const std::string& name) { return named<Metric>(metric_names, "metric", name); }

} // namespace chainrule
