#include "textflag.h"

// COMPARE4 sets bits n to n+3 of word if the floats there are equal.
#define COMPARE4(n, y, bits, word) \
	VMOVDQU   (n*8)(SI), y     \
	VPCMPEQQ  (n*8)(DX), y, y  \
	VMOVMSKPD y, bits          \
	SHLQ      $n, bits         \
	ORQ       bits, word

// func changedBlocksAVX2(dst *uint64, before, values *float64, blocks int)
TEXT ·changedBlocksAVX2(SB), NOSPLIT, $0-32
	MOVQ dst+0(FP), DI
	MOVQ before+8(FP), SI
	MOVQ values+16(FP), DX
	MOVQ blocks+24(FP), CX
	TESTQ CX, CX
	JZ   done

block:
	XORL AX, AX
	XORL BX, BX
	COMPARE4(0, Y0, R8, AX)
	COMPARE4(4, Y1, R9, BX)
	COMPARE4(8, Y2, R10, AX)
	COMPARE4(12, Y3, R11, BX)
	COMPARE4(16, Y0, R8, AX)
	COMPARE4(20, Y1, R9, BX)
	COMPARE4(24, Y2, R10, AX)
	COMPARE4(28, Y3, R11, BX)
	COMPARE4(32, Y0, R8, AX)
	COMPARE4(36, Y1, R9, BX)
	COMPARE4(40, Y2, R10, AX)
	COMPARE4(44, Y3, R11, BX)
	COMPARE4(48, Y0, R8, AX)
	COMPARE4(52, Y1, R9, BX)
	COMPARE4(56, Y2, R10, AX)
	COMPARE4(60, Y3, R11, BX)
	ORQ  BX, AX
	NOTQ AX
	MOVQ AX, (DI)
	ADDQ $8, DI
	ADDQ $512, SI
	ADDQ $512, DX
	DECQ CX
	JNZ  block
	VZEROUPPER

done:
	RET
