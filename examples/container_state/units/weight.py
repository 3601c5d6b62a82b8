def convert(number):
    return f"{number:g} pounds are {number * 0.45359237:.1f} kilograms"
