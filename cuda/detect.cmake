# SPDX-License-Identifier: MIT
# What the CUDA device needs: nvcc, cuDNN and cuBLASLt, from the system or from Python wheels.
# Sets VJ_CUDA_FOUND, or VJ_CUDA_MISSING to what is missing; enables the language CUDA when found.
# Folders may be given with CUDNN_ROOT and CUBLAS_ROOT (variables or environment).
set(VPJND_CUDA AUTO CACHE STRING "CUDA device: AUTO = when nvcc and cuDNN are there, ON, OFF")
set_property(CACHE VPJND_CUDA PROPERTY STRINGS AUTO ON OFF)
set(VJ_CUDA_FOUND FALSE)
set(VJ_CUDA_MISSING "VPJND_CUDA is OFF")

# One library of NVIDIA's; wheels carry it without the link that has no version in its name.
function(vj_find_nvidia variable name header root)
  file(GLOB wheels /usr/lib/python3*/*-packages/nvidia/* /usr/local/lib/python3*/*-packages/nvidia/*
       "$ENV{VIRTUAL_ENV}/lib/python3*/site-packages/nvidia/*")
  set(hints ${${root}} $ENV{${root}} ${CUDAToolkit_LIBRARY_ROOT} ${CUDAToolkit_TARGET_DIR}
            ${CUDAToolkit_BIN_DIR}/..)
  find_path(${variable}_INCLUDE ${header} HINTS ${hints} PATHS ${wheels}
            PATH_SUFFIXES include targets/x86_64-linux/include)
  set(CMAKE_FIND_LIBRARY_SUFFIXES .so .so.9 .so.13 .so.12)
  find_library(${variable}_LIBRARY NAMES ${name} HINTS ${hints} PATHS ${wheels}
               PATH_SUFFIXES lib64 lib lib/x86_64-linux-gnu targets/x86_64-linux/lib)
endfunction()

if(VPJND_CUDA)
  include(CheckLanguage)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES "80-real;90" CACHE STRING
        "GPU architectures; 90 stands for sm_90 and its PTX, which newer GPUs compile")
  endif()
  if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
    find_program(VJ_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin $ENV{CUDA_PATH}/bin /usr/local/cuda/bin)
    if(VJ_NVCC)
      set(CMAKE_CUDA_COMPILER "${VJ_NVCC}")
    endif()
  endif()
  check_language(CUDA)
  set(VJ_CUDA_MISSING "")
  if(CMAKE_CUDA_COMPILER)
    enable_language(CXX) # nvcc's host compiler; for tests on emulated libraries
    enable_language(CUDA)
    find_package(CUDAToolkit REQUIRED)
    if(CUDAToolkit_VERSION VERSION_LESS 12)
      string(APPEND VJ_CUDA_MISSING " a CUDA Toolkit from 12 on (this is ${CUDAToolkit_VERSION})")
    endif()
    vj_find_nvidia(CUDNN cudnn cudnn.h CUDNN_ROOT)
    vj_find_nvidia(CUBLASLT cublasLt cublasLt.h CUBLAS_ROOT)
    foreach(part CUDNN_INCLUDE CUDNN_LIBRARY CUBLASLT_INCLUDE CUBLASLT_LIBRARY)
      if(NOT ${part})
        string(APPEND VJ_CUDA_MISSING " ${part}")
      endif()
    endforeach()
  else()
    set(VJ_CUDA_MISSING " nvcc")
  endif()
  if(NOT VJ_CUDA_MISSING)
    set(VJ_CUDA_FOUND TRUE)
    message(STATUS "CUDA device: nvcc ${CMAKE_CUDA_COMPILER_VERSION}, ${CUDNN_LIBRARY}, "
                   "${CUBLASLT_LIBRARY}, architectures ${CMAKE_CUDA_ARCHITECTURES}")
  elseif(VPJND_CUDA STREQUAL "AUTO")
    message(STATUS "CUDA device: not built, not found:${VJ_CUDA_MISSING}")
  else()
    message(FATAL_ERROR "VPJND_CUDA is ON, but this was not found:${VJ_CUDA_MISSING}. Name the "
                        "folders with CUDNN_ROOT and CUBLAS_ROOT, and nvcc with CUDACXX.")
  endif()
endif()
