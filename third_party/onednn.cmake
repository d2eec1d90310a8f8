# oneDNN 3.2 as the target axon::onednn. Its own CMake package asks for a policy version that CMake 4 no longer has,
# so the two paths that matter (headers, library) are taken from the wheel's file list instead.
axon_distribution_file(AXON_ONEDNN_LIBRARY onednn-cpu-gomp libdnnl.so.3)
axon_distribution_file(AXON_ONEDNN_HEADER onednn-devel-cpu-gomp include/oneapi/dnnl/dnnl.h)
cmake_path(GET AXON_ONEDNN_HEADER PARENT_PATH AXON_ONEDNN_INCLUDE)
cmake_path(SET AXON_ONEDNN_INCLUDE NORMALIZE "${AXON_ONEDNN_INCLUDE}/../..")

add_library(axon::onednn SHARED IMPORTED)
set_target_properties(axon::onednn PROPERTIES
  IMPORTED_LOCATION "${AXON_ONEDNN_LIBRARY}"
  INTERFACE_INCLUDE_DIRECTORIES "${AXON_ONEDNN_INCLUDE}")
