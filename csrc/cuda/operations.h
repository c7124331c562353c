// What the GPU's table is made of: each file of cuda/ puts its operations into a device, memory.cu has its memory,
// graph.cu its way to repeat work, feed.cu its way to get data meanwhile.
#pragma once

#include "kernels.h"

namespace chainrule::cuda {

extern const Memory memory;
/// Waits for all that the calling thread has asked for; throws what went wrong meanwhile.
void finish();
Replay* make_replay();
Feed* make_feed(std::size_t bytes);
/// Bytes that could be asked for now.
std::size_t free_memory();

void list_matmul(Device&);
void list_matmul_tf32(Device&);
void list_matmul_bfloat16(Device&);
void list_activation(Device&);
void list_softmax(Device&);
void list_max_pieces(Device&);
void list_dropout(Device&);
void list_noise(Device&);
void list_augment_images(Device&);
void list_arithmetic(Device&);
void list_update(Device&);
void list_gather(Device&);
void list_shuffle(Device&);
void list_normalize(Device&);
void list_constrain(Device&);
void list_element_loss(Device&);
void list_cross_entropy(Device&);
void list_correct_rows(Device&);
void list_count_classes(Device&);
void list_sums(Device&);
void list_penalty(Device&);
void list_narrow_step(Device&);

} // namespace chainrule::cuda
