// Shuffled orders: the formula of formulas/shuffle.h, many places side by side.
#include "formulas/shuffle.h"

#include "cpu/operations.h"
#include "cpu/wide_words.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

// Registers side by side: a round waits for two products of five cycles, one after the other.
constexpr int side_by_side = 4, places_at_once = side_by_side * wide_width;

typedef std::uint32_t HalfWords __attribute__((vector_size(vector_bytes)));

/// (x + f(other)) mod limit. Only the low halves of `other` count, the high ones of x are 0.
WideWords turn(WideWords x, WideWords limit, WideWords other, std::uint64_t key) {
  const WideWords all = product(WideWords{} + philox_multiplier0, other ^ key);
  const WideWords sum = x + (product(all >> 32 ^ all, limit) >> 32);
  // A difference below 0 has halves of 2^32 - 2^17 and more, the sum's are below 2^17: the lesser ones are right.
  const auto whole = (HalfWords)sum, reduced = (HalfWords)(sum - limit);
  return (WideWords)(reduced < whole ? reduced : whole);
}

void shuffled_order(const Team& team, const Shuffle& shuffle, std::int32_t* order) {
  const Range share = team.share(shuffle.rows, line_elements<std::int32_t>);
  const WideWords a = WideWords{} + shuffle.a, b = WideWords{} + shuffle.b;
  for (Index first = share.begin; first < share.end; first += places_at_once) {
    WideWords l[side_by_side], r[side_by_side];
    std::uint64_t left = static_cast<std::uint64_t>(first) / shuffle.b;
    std::uint64_t right = static_cast<std::uint64_t>(first) % shuffle.b;
    for (int vector = 0; vector < side_by_side; ++vector) {
      for (int lane = 0; lane < wide_width; ++lane) {
        l[vector][lane] = left;
        r[vector][lane] = right;
        if (++right == shuffle.b) {
          right = 0;
          ++left;
        }
      }
    }
    for (int round = 0; round < Shuffle::rounds; round += 2) {
      for (int vector = 0; vector < side_by_side; ++vector) {
        l[vector] = turn(l[vector], a, r[vector], shuffle.keys[round]);
        r[vector] = turn(r[vector], b, l[vector], shuffle.keys[round + 1]);
      }
    }
    const Index count = share.end - first < places_at_once ? share.end - first : places_at_once;
    for (Index i = 0; i < count; ++i) {
      const auto left_there = static_cast<std::uint32_t>(l[i / wide_width][i % wide_width]);
      const auto right_there = static_cast<std::uint32_t>(r[i / wide_width][i % wide_width]);
      const std::uint32_t row = left_there * shuffle.b + right_there;
      order[first + i] = static_cast<std::int32_t>(row < shuffle.rows ? row : shuffle.walk(left_there, right_there));
    }
  }
}

} // namespace

void list_shuffle(Device& device) {
  device.float32.shuffled_order = shuffled_order;
  device.float64.shuffled_order = shuffled_order;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
