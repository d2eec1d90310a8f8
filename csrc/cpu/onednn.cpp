#include "cpu/onednn.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

#include "runtime/features.h"

namespace axon::cpu::onednn {

void check(dnnl_status_t status, const char* what) {
  if (status == dnnl_success) return;
  const char* why = status == dnnl_out_of_memory ? "out of memory" : status == dnnl_unimplemented ? "unimplemented" : "failed";
  throw std::runtime_error(std::string("oneDNN: ") + what + ": " + why + " (" + std::to_string(status) + ")");
}

dnnl_engine_t engine() {
  static const dnnl_engine_t instance = [] {
    // Before its first primitive, oneDNN takes a cap of its own for what max_isa() hides.
    if (max_isa() != Isa::all)
      check(dnnl_set_max_cpu_isa(max_isa() == Isa::avx2 ? dnnl_cpu_isa_avx2 : dnnl_cpu_isa_avx512_core), "AXON_MAX_ISA");
    dnnl_engine_t made = nullptr;
    check(dnnl_engine_create(&made, dnnl_cpu, 0), "CPU engine");
    // Primitives that no program holds any more: each has code of its own, 0.15 MB. A program's are planned one after the
    // other, so a few find what is alike.
    if (std::getenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY") == nullptr) dnnl_set_primitive_cache_capacity(128);
    return made;
  }();
  return instance;
}

dnnl_data_type_t data_type(DType dtype) {
  switch (dtype) {
#define AXON_CASE(name, code, ...) case DType::code: return dnnl_##code;
    AXON_HALVES(AXON_CASE)
#undef AXON_CASE
    case DType::f32: return dnnl_f32;
    default: return dnnl_data_type_undef;
  }
}

Description describe(DType dtype, const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides) {
  dnnl_memory_desc_t made = nullptr;
  const int rank = static_cast<int>(sizes.size());
  if (strides.empty())
    check(dnnl_memory_desc_create_with_tag(&made, rank, sizes.data(), data_type(dtype), dnnl_format_tag_any), "layout");
  else
    check(dnnl_memory_desc_create_with_strides(&made, rank, sizes.data(), data_type(dtype), strides.data()), "layout");
  return Description(made);
}

Attributes user_scratchpad() {
  dnnl_primitive_attr_t made = nullptr;
  check(dnnl_primitive_attr_create(&made), "attributes");
  Attributes attributes(made);
  check(dnnl_primitive_attr_set_scratchpad_mode(made, dnnl_scratchpad_mode_user), "scratchpad mode");
  return attributes;
}

Primitive::Primitive(const_dnnl_primitive_desc_t plan,
                     std::initializer_list<std::pair<int, const_dnnl_memory_desc_t>> arguments) {
  dnnl_primitive_t primitive = nullptr;
  check(dnnl_primitive_create(&primitive, plan), "primitive");
  primitive_.reset(primitive);
  dnnl_stream_t stream = nullptr;
  check(dnnl_stream_create(&stream, engine(), dnnl_stream_default_flags), "stream");
  stream_.reset(stream);
  const auto add = [&](int argument, const_dnnl_memory_desc_t description, void* pointer) {
    dnnl_memory_t memory = nullptr;
    check(dnnl_memory_create(&memory, description, engine(), pointer), "memory");
    memories_.emplace_back(memory);
    arguments_.push_back({argument, memory});
  };
  for (const auto& [argument, description] : arguments) add(argument, description, DNNL_MEMORY_NONE);
  const const_dnnl_memory_desc_t scratchpad = dnnl_primitive_desc_query_md(plan, dnnl_query_scratchpad_md, 0);
  if (scratchpad != nullptr && dnnl_memory_desc_get_size(scratchpad) > 0) {
    scratchpad_ = Scratch(static_cast<int64_t>(dnnl_memory_desc_get_size(scratchpad)));
    add(DNNL_ARG_SCRATCHPAD, scratchpad, DNNL_MEMORY_NONE);
  }
}

dnnl_status_t Primitive::try_run(std::initializer_list<void*> pointers) noexcept {
  size_t i = 0;
  for (void* pointer : pointers) dnnl_memory_set_data_handle(memories_[i++].get(), pointer);
  if (scratchpad_.nbytes() > 0) dnnl_memory_set_data_handle(memories_[i].get(), scratchpad_.data());
  const int count = static_cast<int>(arguments_.size());
  const dnnl_status_t status = dnnl_primitive_execute(primitive_.get(), stream_.get(), count, arguments_.data());
  return status == dnnl_success ? dnnl_stream_wait(stream_.get()) : status;
}

}  // namespace axon::cpu::onednn
