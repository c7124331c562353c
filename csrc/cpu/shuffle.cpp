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

/// All rounds for pairs side by side.
template <int VECTORS> void go_around(const Shuffle& shuffle, WideWords (&l)[VECTORS], WideWords (&r)[VECTORS]) {
  const WideWords a = WideWords{} + shuffle.a, b = WideWords{} + shuffle.b;
  for (int round = 0; round < Shuffle::rounds; round += 2) {
    for (int vector = 0; vector < VECTORS; ++vector) {
      l[vector] = turn(l[vector], a, r[vector], shuffle.keys[round]);
      r[vector] = turn(r[vector], b, l[vector], shuffle.keys[round + 1]);
    }
  }
}

/// Pairs that are none of the n rows, and the places that wait for them. They go around again together: one alone would
/// wait for each of its rounds (112 rows, 17 such pairs: all of the order took twice as long).
struct Walk {
  static constexpr int room = 2 * places_at_once;
  std::uint32_t left[room], right[room];
  Index place[room];
  int count = 0;

  /// Puts the row of a pair that has been around to its place, or lets the pair wait.
  CHAINRULE_INLINE void arrive(const Shuffle& shuffle, std::uint64_t l, std::uint64_t r, Index at,
                               std::int32_t* order) {
    const auto l_now = static_cast<std::uint32_t>(l), r_now = static_cast<std::uint32_t>(r);
    const std::uint32_t row = l_now * shuffle.b + r_now;
    if (row < shuffle.rows) {
      order[at] = static_cast<std::int32_t>(row);
    } else {
      left[count] = l_now;
      right[count] = r_now;
      place[count++] = at;
    }
  }

  /// Once around for as many of them as VECTORS hold, the last ones first; those that are rows now leave.
  template <int VECTORS> void go_on(const Shuffle& shuffle, std::int32_t* order) {
    const int first = count > VECTORS * wide_width ? count - VECTORS * wide_width : 0, end = count;
    WideWords l[VECTORS]{}, r[VECTORS]{};
    for (int i = first; i < end; ++i) {
      l[(i - first) / wide_width][(i - first) % wide_width] = left[i];
      r[(i - first) / wide_width][(i - first) % wide_width] = right[i];
    }
    go_around(shuffle, l, r);
    count = first;
    for (int i = first; i < end; ++i) {
      const int vector = (i - first) / wide_width, lane = (i - first) % wide_width;
      arrive(shuffle, l[vector][lane], r[vector][lane], place[i], order);
    }
  }

  void finish(const Shuffle& shuffle, std::int32_t* order) {
    while (count > wide_width) go_on<side_by_side>(shuffle, order);
    while (count > 0) go_on<1>(shuffle, order);
  }
};

void shuffled_order(const Team& team, const Shuffle& shuffle, std::int32_t* order) {
  const Range share = team.share(shuffle.rows, line_elements<std::int32_t>);
  Walk walk;
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
    go_around(shuffle, l, r);
    const Index count = share.end - first < places_at_once ? share.end - first : places_at_once;
    for (Index i = 0; i < count; ++i) {
      walk.arrive(shuffle, l[i / wide_width][i % wide_width], r[i / wide_width][i % wide_width], first + i, order);
    }
    if (walk.count >= places_at_once) walk.finish(shuffle, order);
  }
  walk.finish(shuffle, order);
}

} // namespace

void list_shuffle(Device& device) {
  device.float32.shuffled_order = shuffled_order;
  device.float64.shuffled_order = shuffled_order;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
