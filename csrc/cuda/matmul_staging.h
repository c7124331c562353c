// Staging: both factors of a product are rounded (mma.h) and written to memory once more, as panels that only need to
// be copied to be multiplied (wgmma.h). It multiplies nothing.
//
// A panel has 128 lines, rows of a or columns of b, and 128 bytes of each: 32 words, of one term of the sum in TF32 and
// of two in bfloat16. Panels of the same lines follow each other along the sum, a slab each. Where lines or terms end
// within a panel, the rest of it is 0.
//
// A block of threads makes one panel. Its numbers come from memory in the order in which they lie there, whether that
// is along the sum or across it; in shared memory they change places.
#pragma once

#include "cuda/matmul_plan.h"
#include "cuda/wgmma.h"

namespace chainrule::cuda {

using PanelWord = unsigned;
inline constexpr int line_words = line_bytes / static_cast<int>(sizeof(PanelWord));
inline constexpr int panel_words = panel_lines * line_words;

/// The terms of the sum in a panel, and how many panels they take.
template <class Rounding> constexpr int panel_terms() { return line_words * Rounding::terms; }
template <class Rounding> constexpr Index slabs_of(Index sum) { return tiles_along(sum, panel_terms<Rounding>()); }

/// A factor with its own number of lines, and the place of its panels.
struct Staged {
  Lines<float> factor;
  Index lines;
  PanelWord* panels;
};

/// The panels of two factors, those of `a` before those of `b`: a block for each. `slabs` of them have the same lines.
template <class Rounding>
__global__ void __launch_bounds__(block_threads)
    stage(Staged a, Staged b, unsigned panels_of_a, Index sum, unsigned slabs) {
  constexpr int terms = panel_terms<Rounding>(), count = panel_lines * terms / block_threads;
  // A row for each term. One number more than there are lines: so neighbours along either fall on different banks.
  __shared__ float numbers[terms][panel_lines + 1];
  const bool first = blockIdx.x < panels_of_a;
  const Lines<float> factor = first ? a.factor : b.factor;
  const unsigned panel = first ? blockIdx.x : blockIdx.x - panels_of_a;
  const Index line = Index{panel / slabs} * panel_lines, term = Index{panel % slabs} * terms;
  const auto within = [](Index left, int most) { return left < most ? static_cast<int>(left) : most; };
  const int lines_left = within((first ? a.lines : b.lines) - line, panel_lines),
            terms_left = within(sum - term, terms);
  // Rows of memory, and what lies side by side in them.
  const int length = factor.along_sum ? terms : panel_lines, row_step = block_threads / length;
  const int left = factor.along_sum ? terms_left : lines_left, rows = factor.along_sum ? lines_left : terms_left;
  const int thread = static_cast<int>(threadIdx.x), place = thread % length, row = thread / length;
  const float* from = factor.data + (factor.along_sum ? line * factor.stride + term : term * factor.stride + line) +
                      row * factor.stride + place;
  float* to_number = factor.along_sum ? &numbers[place][row] : &numbers[row][place];
  const int number_step = row_step * (factor.along_sum ? 1 : panel_lines + 1);
  const int rows_left = place < left ? rows - row : 0;
  CHAINRULE_UNROLLED
  for (int i = 0; i < count; ++i) {
    to_number[i * number_step] = i * row_step < rows_left ? *from : 0.0F;
    from += row_step * factor.stride;
  }
  __syncthreads();
  PanelWord* to = (first ? a.panels : b.panels) + Index{panel} * panel_words;
  constexpr int piece_words = piece_bytes / static_cast<int>(sizeof(PanelWord));
  for (int i = thread; i < panel_lines * pieces_of_line; i += block_threads) {
    const int at_line = i / pieces_of_line, piece = i % pieces_of_line;
    Chunk<PanelWord, piece_words> words;
    CHAINRULE_UNROLLED
    for (int w = 0; w < piece_words; ++w) {
      float of_word[Rounding::terms];
      CHAINRULE_UNROLLED
      for (int q = 0; q < Rounding::terms; ++q) {
        of_word[q] = numbers[(piece * piece_words + w) * Rounding::terms + q][at_line];
      }
      words.at[w] = Rounding::word(of_word);
    }
    store(words, to + (at_line * line_words + swizzled(piece, at_line) * piece_words));
  }
}

} // namespace chainrule::cuda
