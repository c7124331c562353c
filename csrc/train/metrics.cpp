// The names of the metrics.
#include "train/metrics.h"

#include <charconv>
#include <string_view>

#include "core/named.h"

namespace chainrule {

namespace {

/// k of "top_{k}_accuracy", a whole number above 1; 0 for any other name.
Index named_k(std::string_view name) {
  constexpr std::string_view before = "top_", behind = "_accuracy";
  if (!name.starts_with(before) || !name.ends_with(behind) || name.size() <= before.size() + behind.size()) return 0;
  const char* first = name.data() + before.size();
  const char* last = name.data() + name.size() - behind.size();
  Index k = 0;
  const auto [end, error] = std::from_chars(first, last, k);
  return error == std::errc() && end == last && k > 1 && *first != '0' ? k : 0;
}

} // namespace

Metric metric_named(const std::string& name) {
  if (const Index k = named_k(name); k > 0) return {MetricKind::accuracy, k};
  return {named<MetricKind>(metric_names, "metric", name, "top_{k}_accuracy with k above 1")};
}

} // namespace chainrule
