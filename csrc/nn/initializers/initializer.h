// How parameters start.
//
//   constant           w = a
//   uniform            w in [-a, a)
//   normal             w ~ N(0, a^2)
//   fan_in_uniform     w in [-l, l), l = sqrt(3 a / fan_in)        variance a / fan_in.    He: a = 2
//   fan_in_normal      w ~ N(0, a / fan_in)
//   fan_avg_uniform    the same with (fan_in + fan_out) / 2        Glorot: a = 1
//   fan_avg_normal
//
// Always drawn on the host, in float64, and rounded to the network's precision: the same start everywhere.
#pragma once

#include <cmath>
#include <numbers>
#include <string>

#include "core/check.h"
#include "core/random.h"

namespace chainrule {

struct Initializer {
  enum class Shape { constant, uniform, normal };
  enum class Fan { none, in, average };

  Shape shape = Shape::constant;
  Fan fan = Fan::none;
  double a = 0;

  Initializer() = default;
  Initializer(const std::string& kind, double value) : a(value) {
    check(std::isfinite(value), "the number of an initializer must be finite; got ", value);
    const bool scaled = kind.starts_with("fan_");
    check(!scaled || value >= 0, "the variance gain of an initializer must not be negative; got ", value);
    if (kind.starts_with("fan_in_")) fan = Fan::in;
    if (kind.starts_with("fan_avg_")) fan = Fan::average;
    const std::string form = fan == Fan::none ? kind : kind.substr(kind.rfind('_') + 1);
    check(form == "uniform" || form == "normal" || (form == "constant" && fan == Fan::none), "unknown initializer \"",
          kind, "\"");
    shape = form == "uniform" ? Shape::uniform : form == "normal" ? Shape::normal : Shape::constant;
  }

  /// The bound of a uniform, the standard deviation of a normal start.
  double extent(Index fan_in, Index fan_out) const {
    if (fan == Fan::none) return a;
    const double inputs = static_cast<double>(fan_in), outputs = static_cast<double>(fan_out);
    const double variance = a / (fan == Fan::in ? inputs : (inputs + outputs) / 2);
    return std::sqrt(shape == Shape::uniform ? 3 * variance : variance);
  }

  /// Fills w (n). Elements 2b and 2b + 1 come from block b of the stream: as they are for a uniform start, by the
  /// transform of Box and Muller for a normal one.
  template <class T> void fill(T* w, Index n, Index fan_in, Index fan_out, const Stream& stream) const {
    if (shape == Shape::constant) {
      for (Index e = 0; e < n; ++e) w[e] = static_cast<T>(a);
      return;
    }
    const double size = extent(fan_in, fan_out);
    for (Index e = 0; e < n; e += 2) {
      const auto words = philox_pair(stream, static_cast<std::uint32_t>(e / 2));
      const double u0 = unit_interval(words[0]), u1 = unit_interval(words[1]);
      double first = 2 * u0 - 1, second = 2 * u1 - 1;
      if (shape == Shape::normal) {
        const double radius = std::sqrt(-2 * std::log1p(-u0)), angle = 2 * std::numbers::pi * u1;
        first = radius * std::cos(angle);
        second = radius * std::sin(angle);
      }
      w[e] = static_cast<T>(size * first);
      if (e + 1 < n) w[e + 1] = static_cast<T>(size * second);
    }
  }
};

} // namespace chainrule
