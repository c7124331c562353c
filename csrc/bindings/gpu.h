// The GPU by name, as Python says it.
#pragma once

#include <string>
#include <string_view>

#include "core/named.h"
#include "cuda_table.h"

namespace chainrule::bindings {

/// Its table for "cuda", or for "cuda-" and the precision of products; null for any other name. Throws where no GPU can
/// be used, or numbers of type T are never rounded.
template <class T> const Device* gpu_named(const std::string& name) {
  constexpr std::string_view plain = "cuda", prefix = "cuda-";
  if (name != plain && !name.starts_with(prefix)) return nullptr;
  const auto precision = named<cuda::Precision>(cuda::precision_names, "precision of the GPU",
                                                name == plain ? "float32" : name.substr(prefix.size()));
  check(sizeof(T) == sizeof(float) || precision == cuda::Precision::float32, "\"", name,
        "\" rounds products of float32; those of float64 are never rounded");
  return &cuda::checked_device(precision);
}

} // namespace chainrule::bindings
