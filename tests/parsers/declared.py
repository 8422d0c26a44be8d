# SPDX-License-Identifier: MIT OR Apache-2.0
"""The functions that a preprocessed header declares, as pycparser reads it: declared.py PREPROCESSED"""
import sys

from pycparser import c_ast, c_parser

tree = c_parser.CParser().parse(open(sys.argv[1]).read(), sys.argv[1])
for declaration in tree.ext:
    if isinstance(declaration, c_ast.Decl) and isinstance(declaration.type, c_ast.FuncDecl):
        print(declaration.name)
