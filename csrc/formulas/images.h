// Pictures changed at random, a little: which place of a picture is seen at a pixel of the changed one, and what number
// is there.
//
// A picture has height x width pixels of `channels` numbers each, row by row. It is mirrored, F, then turned
// counter-clockwise by t and made z times as large, both around its centre o, then shifted by d. So what is seen at
// pixel p = (row, column) is the place
//
//   q = o + F R (p - o - d) / z,    R = |  cos t  sin t |,   F = diag(+-1, +-1),   o = ((height - 1) / 2, (width - 1) /
//   2)
//                                       | -sin t  cos t |
//
// Between four pixels the numbers are blended ("bilinear"); beyond the edge everything is `fill`.
//
// V is the number type, a vector on the CPU, a scalar on the GPU, as in activations.h.
#pragma once

#include "core/random.h"

namespace chainrule {

/// What may happen to a picture. Where nothing may, it stays as it is, to the last bit.
struct ImageChanges {
  Index height = 1, width = 1, channels = 1;
  bool flip_horizontal = false, flip_vertical = false; // left for right, up for down; every second time
  double max_turns = 0;                                // t, in either direction; 1 is all the way round
  Index max_shift = 0;                                 // d, in whole pixels: what is not turned too is not blurred
  double max_zoom = 0;                                 // z is 1 - max_zoom to 1 + max_zoom
  double fill = 0;

  CHAINRULE_INLINE constexpr Index size() const { return height * width * channels; }
  /// Whether every pixel is one of the picture's, or filled.
  CHAINRULE_INLINE constexpr bool whole_pixels() const { return max_turns == 0 && max_zoom == 0; }
};

/// Words of its stream that a picture takes: word 0 for t, 1 and 2 for d, 3 for z, 4 and 5 for F.
inline constexpr int image_words = 6;

/// t of a picture, in turns.
CHAINRULE_INLINE constexpr double image_turns(const ImageChanges& changes, const std::uint32_t (&words)[image_words]) {
  return changes.max_turns * ((words[0] + 0.5) * 0x1p-31 - 1);
}

/// q as a function of p: row + row_down * p.row + row_right * p.column, and the column likewise.
struct ImageMap {
  double row, row_down, row_right;
  double column, column_down, column_right;
};

/// The map of a picture; `cosine` and `sine` are those of its turns. Without a turn and a zoom all of it is exact.
CHAINRULE_INLINE constexpr ImageMap image_map(const ImageChanges& changes, const std::uint32_t (&words)[image_words],
                                              double cosine, double sine) {
  const auto shift_values = static_cast<std::uint64_t>(2 * changes.max_shift + 1);
  const double shift_down = static_cast<double>(static_cast<Index>(words[1] * shift_values >> 32) - changes.max_shift);
  const double shift_right = static_cast<double>(static_cast<Index>(words[2] * shift_values >> 32) - changes.max_shift);
  const double zoom = 1 + changes.max_zoom * ((words[3] + 0.5) * 0x1p-31 - 1);
  const double up = changes.flip_vertical && words[4] >> 31 != 0 ? -1 : 1;
  const double left = changes.flip_horizontal && words[5] >> 31 != 0 ? -1 : 1;
  const double centre_row = 0.5 * static_cast<double>(changes.height - 1);
  const double centre_column = 0.5 * static_cast<double>(changes.width - 1);

  ImageMap map{};
  map.row_down = up * cosine / zoom;
  map.row_right = up * sine / zoom;
  map.column_down = -left * sine / zoom;
  map.column_right = left * cosine / zoom;
  const double down = centre_row + shift_down, right = centre_column + shift_right; // where the centre comes to lie
  map.row = centre_row - (map.row_down * down + map.row_right * right);
  map.column = centre_column - (map.column_down * down + map.column_right * right);
  return map;
}

/// The number that lies the share `share` of the way from a to b: exactly a where that is 0, whatever b may be.
template <class V> constexpr V blend(V a, V b, V share) { return select(share == V(0), a, a + share * (b - a)); }

/// The number between four pixels. look(i, j) gives that of the pixel i below and j right of the upper left one.
template <class V, class Look> constexpr V between_pixels(V down, V right, Look look) {
  return blend(blend(look(0, 0), look(0, 1), right), blend(look(1, 0), look(1, 1), right), down);
}

} // namespace chainrule
